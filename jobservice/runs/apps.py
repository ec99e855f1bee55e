"""Registers the feature with Django."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Application ``runs``."""

    name = "jobservice.runs"
    label = "runs"
