"""The driver that the settings ask for, one per process."""

from functools import cache
from pathlib import Path

from django.conf import settings

from core.storage.errors import StorageMisconfigured
from core.storage.filesystem import FilesystemDriver
from core.storage.types import StorageDriver


@cache
def default_driver() -> StorageDriver:
    """Return the configured driver, built at the first call.

    ``settings.STORAGE_ROOT`` is the absolute directory of the filesystem driver. Raises
    StorageMisconfigured; call it once at the start of a process so that this shows early.
    """
    root = getattr(settings, "STORAGE_ROOT", None)
    if not isinstance(root, Path):
        raise StorageMisconfigured("The setting STORAGE_ROOT must be a path.")
    return FilesystemDriver(root)
