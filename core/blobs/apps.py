"""Registers the feature with Django."""

from django.apps import AppConfig


class BlobsConfig(AppConfig):
    """Application ``blobs``."""

    name = "core.blobs"
    label = "blobs"
