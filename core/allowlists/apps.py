"""Registers the feature with Django."""

from django.apps import AppConfig


class AllowlistsConfig(AppConfig):
    """Application ``allowlists``."""

    name = "core.allowlists"
    label = "allowlists"
