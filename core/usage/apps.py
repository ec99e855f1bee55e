"""Registers the feature with Django."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    """Application ``usage``."""

    name = "core.usage"
    label = "usage"
