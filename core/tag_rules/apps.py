"""Registers the feature with Django."""

from django.apps import AppConfig


class TagRulesConfig(AppConfig):
    """Application ``tag_rules``."""

    name = "core.tag_rules"
    label = "tag_rules"
