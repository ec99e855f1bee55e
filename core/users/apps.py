"""Registers the feature with Django."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Application ``users``."""

    name = "core.users"
    label = "users"
