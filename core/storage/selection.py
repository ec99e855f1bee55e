"""The drivers that the settings ask for, one each per process.

New content goes to the *current* storage. A *former* one may be configured beside it while its
content moves. Rows say by name which of the two has their bytes.
"""

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from core.storage.errors import StorageMisconfigured
from core.storage.filesystem import FilesystemDriver
from core.storage.types import StorageDriver

# Named, not imported: the SDK behind it takes time and memory that a directory does not need.
_BUCKETS = {
    "S3": ("core.storage.s3.driver.S3Driver", "core.storage.s3.options.S3Options"),
    "GCS": ("core.storage.gcs.driver.GCSDriver", "core.storage.gcs.options.GCSOptions"),
    "AZURE": ("core.storage.azure.driver.AzureDriver", "core.storage.azure.options.AzureOptions"),
}


@cache
def default_driver() -> StorageDriver:
    """Return the driver of the current storage, built at the first call.

    One of ``settings.STORAGE_S3``, ``STORAGE_GCS`` and ``STORAGE_AZURE`` holds the fields of the
    options of its driver; where all are None, ``settings.STORAGE_ROOT`` is the absolute directory
    of the filesystem driver. Raises StorageMisconfigured; call it once at the start of a process
    so that this shows early.
    """
    return _build("STORAGE")


@cache
def former_driver() -> StorageDriver:
    """Return the driver of the former storage; its settings begin with ``FORMER_STORAGE``."""
    return _build("FORMER_STORAGE")


def forget_drivers() -> None:
    """Let the drivers be built anew: connections to a bucket do not survive a fork."""
    default_driver.cache_clear()
    former_driver.cache_clear()


def provider() -> str:
    """Return what sort of storage new content goes to: filesystem, s3, gcs or azure."""
    return next(
        (name.lower() for name in _BUCKETS if getattr(settings, f"STORAGE_{name}", None)),
        "filesystem",
    )


def current_store() -> str:
    """Return the name of the storage that new content goes to."""
    name: str = settings.STORAGE_NAME
    return name


def former_store() -> str | None:
    """Return the name of the former storage, None when none is configured."""
    name: str | None = settings.FORMER_STORAGE_NAME
    return name


def driver_of(store: str) -> StorageDriver:
    """Return the driver of the storage that a row names.

    Raises StorageMisconfigured when no storage of that name is configured (any more).
    """
    if store == settings.STORAGE_NAME:
        return default_driver()
    if store == settings.FORMER_STORAGE_NAME:
        return former_driver()
    raise StorageMisconfigured(f"No storage is configured under the name {store}.")


def drivers() -> dict[str, StorageDriver]:
    """Return the driver of every configured storage by its name, the current one first."""
    return {store: driver_of(store) for store in (current_store(), former_store()) if store}


def _build(kind: str) -> StorageDriver:
    for service, (driver_path, options_path) in _BUCKETS.items():
        fields = getattr(settings, f"{kind}_{service}", None)
        if fields is not None:
            driver: StorageDriver = _imported(driver_path, extra=service.lower())(
                import_string(options_path)(**fields)
            )
            return driver
    root = getattr(settings, f"{kind}_ROOT", None)
    if not isinstance(root, Path):
        raise StorageMisconfigured(f"The setting {kind}_ROOT must be a path.")
    return FilesystemDriver(root)


def _imported(path: str, *, extra: str) -> Any:
    """Import a driver. Raises StorageMisconfigured when its SDK is not installed."""
    try:
        return import_string(path)
    except ModuleNotFoundError as error:
        raise StorageMisconfigured(
            f"The storage needs the package {error.name}, which is not installed: "
            f"pip install 'roadstead[{extra}]'."
        ) from error
