"""Registers the package, which has one table, with Django."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Application ``api``."""

    name = "core.api"
    label = "api"
