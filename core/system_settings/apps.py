"""Registers the package with Django."""

from django.apps import AppConfig


class SystemSettingsConfig(AppConfig):
    """Application ``system_settings``."""

    name = "core.system_settings"
    label = "system_settings"
