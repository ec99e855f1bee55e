"""The driver that the settings ask for, one per process."""

from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from core.storage.errors import StorageMisconfigured
from core.storage.filesystem import FilesystemDriver
from core.storage.types import StorageDriver

# Named, not imported: the SDK behind it takes time and memory that a directory does not need.
_S3_DRIVER = "core.storage.s3.driver.S3Driver"
_S3_OPTIONS = "core.storage.s3.options.S3Options"


@cache
def default_driver() -> StorageDriver:
    """Return the configured driver, built at the first call.

    ``settings.STORAGE_S3`` holds the fields of ``S3Options``; where it is None,
    ``settings.STORAGE_ROOT`` is the absolute directory of the filesystem driver. Raises
    StorageMisconfigured; call it once at the start of a process so that this shows early.
    """
    bucket = getattr(settings, "STORAGE_S3", None)
    if bucket is not None:
        driver: StorageDriver = import_string(_S3_DRIVER)(import_string(_S3_OPTIONS)(**bucket))
        return driver
    root = getattr(settings, "STORAGE_ROOT", None)
    if not isinstance(root, Path):
        raise StorageMisconfigured("The setting STORAGE_ROOT must be a path.")
    return FilesystemDriver(root)
