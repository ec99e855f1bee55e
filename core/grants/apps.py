"""Registers the feature with Django."""

from django.apps import AppConfig


class GrantsConfig(AppConfig):
    """Application ``grants``."""

    name = "core.grants"
    label = "grants"
