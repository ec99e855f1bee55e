"""Registers the feature with Django."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    """Application ``quotas``."""

    name = "core.quotas"
    label = "quotas"
