"""Small blobs in memory: within bounds, never of what is gone, never damaged."""

from pathlib import Path

import pytest

from core.blobs.models import Blob
from core.oci.digest import Digest
from core.storage.selection import default_driver
from registry_api.contents import SMALL_BYTES, Contents
from tests.registry_api.cast import Client
from tests.registry_api.conftest import Place


@pytest.mark.pure
def test_the_least_recently_used_fall_out() -> None:
    kept = Contents(10)
    for key in ("a", "b"):
        kept.put(key, key.encode() * 5)
    assert kept.get("a") == b"aaaaa"
    kept.put("c", b"ccccc")
    assert [kept.get(key) for key in ("a", "b", "c")] == [b"aaaaa", None, b"ccccc"]
    kept.put("c", b"ccccc")
    kept.put("d", b"d" * 10)
    assert [kept.get(key) for key in ("a", "c", "d")] == [None, None, b"d" * 10]


@pytest.mark.pure
def test_what_is_larger_than_everything_is_not_kept() -> None:
    kept = Contents(10)
    kept.put("a", b"a" * 11)
    assert kept.get("a") is None
    kept.put("b", b"b" * 10)
    assert kept.get("b") == b"b" * 10


pulls = pytest.mark.django_db


@pulls
def test_a_small_blob_is_read_from_the_disk_once(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    driver = type(default_driver())
    open_blob = driver.open_blob

    def opening(self: object, key: str) -> object:
        read.append(key)
        return open_blob(self, key)  # type: ignore[arg-type]

    monkeypatch.setattr(driver, "open_blob", opening)
    small = developer.push_blob(place.name, b"s" * SMALL_BYTES)
    large = developer.push_blob(place.name, b"l" * (SMALL_BYTES + 1))
    for digest, times in ((small, 1), (large, 2)):
        read.clear()
        path = f"/v2/{place.name}/blobs/{digest}"
        assert developer.request("HEAD", path).status == 200
        assert read == []
        bodies = {developer.request("GET", path).body for _ in range(2)}
        assert len(bodies) == 1
        assert len(read) == times


@pulls
def test_a_blob_that_was_deleted_is_not_served_from_memory(owner: Client, place: Place) -> None:
    digest = owner.push_blob(place.name, b"soon gone")
    path = f"/v2/{place.name}/blobs/{digest}"
    assert owner.request("GET", path).body == b"soon gone"
    assert owner.request("DELETE", path).status == 202
    assert owner.request("GET", path).codes == ["BLOB_UNKNOWN"]


@pulls
def test_damage_does_not_outlive_its_repair(developer: Client, place: Place, storage: Path) -> None:
    content = f"sealed by its digest in {place.name}".encode()
    digest = developer.push_blob(place.name, content)
    stored = Blob.objects.get(digest=Digest.parse(digest).to_bytes())
    file = storage / stored.storage_key
    file.write_bytes(content[::-1])
    path = f"/v2/{place.name}/blobs/{digest}"
    assert developer.request("GET", path).body == content[::-1]
    file.write_bytes(content)
    assert developer.request("GET", path).body == content
