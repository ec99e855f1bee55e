"""Registers the feature with Django."""

from django.apps import AppConfig


class ArtifactsConfig(AppConfig):
    """Application ``artifacts``."""

    name = "core.artifacts"
    label = "artifacts"
