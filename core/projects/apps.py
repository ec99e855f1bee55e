"""Registers the feature with Django."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """Application ``projects``."""

    name = "core.projects"
    label = "projects"
