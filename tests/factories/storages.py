"""Storages for tests, and what may happen to the objects in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pytest_django.fixtures import Settings

from core.storage.filesystem import FilesystemDriver
from core.storage.s3.driver import S3Driver
from core.storage.selection import forget_drivers
from core.storage.types import StorageDriver
from tests.core.storage.s3_server import S3Server, options_for

DAMAGES = ("missing", "short", "flipped")


@contextmanager
def stores(
    settings: Settings,
    current: Path | S3Server,
    former: Path | S3Server | None = None,
    *,
    names: tuple[str, str] = ("new", "main"),
) -> Iterator[None]:
    """Configure the storage and, if there is one, the former; a server gets a new bucket."""
    settings.STORAGE_NAME, settings.FORMER_STORAGE_NAME = names if former else ("main", None)
    for kind, place in (("STORAGE", current), ("FORMER_STORAGE", former)):
        is_bucket = isinstance(place, S3Server)
        setattr(settings, f"{kind}_ROOT", None if is_bucket else place)
        setattr(settings, f"{kind}_S3", bucket_of(place) if is_bucket else None)
    forget_drivers()
    yield
    forget_drivers()


def bucket_of(server: S3Server) -> dict[str, object]:
    """Return the settings of a new bucket."""
    options = options_for(server.url, server.new_bucket())
    return {name: getattr(options, name) for name in asdict(options)}


def read_object(driver: StorageDriver, key: str) -> bytes:
    """Return the bytes of an object."""
    reader = driver.open_blob(key)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def write_object(driver: StorageDriver, key: str, content: bytes) -> None:
    """Replace an object behind the back of its driver."""
    if isinstance(driver, S3Driver):
        driver._bucket.put(driver._bucket.blob_name(key), content)
        return
    assert isinstance(driver, FilesystemDriver)
    (driver._root / key).write_bytes(content)


def damage(driver: StorageDriver, key: str, how: str) -> bytes:
    """Damage an object in one of ``DAMAGES`` and return the bytes that it had."""
    content = read_object(driver, key)
    if how == "missing":
        driver.delete(key)
    elif how == "short":
        write_object(driver, key, content[:-1])
    else:
        write_object(driver, key, bytes([content[0] ^ 1]) + content[1:])
    return content
