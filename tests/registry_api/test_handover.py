"""Blobs left to a proxy: only to one that can, and only what it would answer the same way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.blobs.models import Blob
from core.oci.digest import Digest
from core.storage.selection import default_driver, former_driver
from tests.registry_api.cast import Client
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

LARGE = os.urandom(300_000)
CAPABLE = "X-Accel-Redirect"


@pytest.fixture(autouse=True)
def _prefix(settings: Settings) -> None:
    settings.STORAGE_ACCEL_PREFIX = "/_blobs/"


@pytest.fixture
def digest(developer: Client, place: Place) -> str:
    """A blob of this test's repository."""
    return developer.push_blob(place.name, LARGE)


def key_of(digest: str) -> str:
    """Return where the blob is stored."""
    return Blob.objects.get(digest=Digest.parse(digest).to_bytes()).storage_key


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=5-9"}, {"If_None_Match": '"another"'}])
def test_a_proxy_that_can_is_told_where(
    developer: Client, place: Place, digest: str, asked: dict[str, str]
) -> None:
    path = f"/v2/{place.name}/blobs/{digest}"
    answer = developer.get(path, X_Sendfile_Type=CAPABLE, **asked)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-accel-redirect"] == f"/_blobs/{key_of(digest)}"
    assert answer.headers["docker-content-digest"] == digest


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"X_Sendfile_Type": "X-Sendfile"},
        {"X_Sendfile_Type": CAPABLE, "Range": "bytes=x-y"},
        {"X_Sendfile_Type": CAPABLE, "Range": "bytes=0-1,5-6"},
        {"X_Sendfile_Type": CAPABLE, "Range": "bytes=0-", "If_Range": '"another"'},
        {"X_Sendfile_Type": CAPABLE, "If_Match": "*"},
        {"X_Sendfile_Type": CAPABLE, "If_Unmodified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    ],
)
def test_others_get_the_bytes(
    developer: Client, place: Place, digest: str, asked: dict[str, str]
) -> None:
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", **asked)
    assert "x-accel-redirect" not in answer.headers
    assert LARGE[:2] in answer.body


def test_nobody_is_told_without_the_setting(
    developer: Client, place: Place, digest: str, settings: Settings
) -> None:
    settings.STORAGE_ACCEL_PREFIX = ""
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", X_Sendfile_Type=CAPABLE)
    assert answer.body == LARGE


def test_a_damaged_blob_is_not_left_to_the_proxy(
    developer: Client, place: Place, storage: Path
) -> None:
    digest = developer.push_blob(place.name, LARGE + place.name.encode())
    os.truncate(storage / key_of(digest), 10)
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", X_Sendfile_Type=CAPABLE)
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])


@pytest.fixture
def moved(storage: Path, tmp_path: Path, settings: Settings) -> Iterator[None]:
    """What was stored so far lies in the former storage."""
    settings.FORMER_STORAGE_NAME, settings.FORMER_STORAGE_ROOT = settings.STORAGE_NAME, storage
    settings.STORAGE_NAME, settings.STORAGE_ROOT = "new", tmp_path / "new"
    default_driver.cache_clear()
    yield
    default_driver.cache_clear()
    former_driver.cache_clear()


def test_what_lies_in_the_former_storage_is_sent_from_here(
    developer: Client, place: Place, digest: str, moved: None
) -> None:
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", X_Sendfile_Type=CAPABLE)
    assert (answer.status, answer.body) == (200, LARGE)
