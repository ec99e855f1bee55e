"""Registers the feature with Django."""

from django.apps import AppConfig


class LabelsConfig(AppConfig):
    """Application ``labels``."""

    name = "core.labels"
    label = "labels"
