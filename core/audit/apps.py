"""Registers the feature with Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Application ``audit``."""

    name = "core.audit"
    label = "audit"
