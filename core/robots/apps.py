"""Registers the feature with Django."""

from django.apps import AppConfig


class RobotsConfig(AppConfig):
    """Application ``robots``."""

    name = "core.robots"
    label = "robots"
