"""Registers the feature with Django."""

from django.apps import AppConfig


class AuthnConfig(AppConfig):
    """Application ``authn``."""

    name = "core.authn"
    label = "authn"
