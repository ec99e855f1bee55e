#!/usr/bin/env python
"""Django's own commands, for development; `roadstead` is the command of the product."""

import sys

from django.core.management import execute_from_command_line

from core.config.env import use_django_settings

if __name__ == "__main__":
    use_django_settings()
    execute_from_command_line(sys.argv)
