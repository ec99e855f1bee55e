"""Registers the feature with Django."""

from django.apps import AppConfig


class MembersConfig(AppConfig):
    """Application ``members``."""

    name = "core.members"
    label = "members"
