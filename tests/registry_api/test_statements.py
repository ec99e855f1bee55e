"""What a request costs in the database: committed numbers, so that nobody adds to them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper

from core.authn import registry_tokens
from tests.registry_api.cast import EMPTY_JSON, Client, sha256
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db


@contextmanager
def statements() -> Iterator[list[str]]:
    """Gather what the threads of the registry send to the database."""
    sent: list[str] = []
    execute = CursorWrapper.execute

    def counting(self: CursorWrapper, sql: str, params: Any = None) -> Any:
        if threading.current_thread().name.startswith("registry-"):
            sent.append(sql)
        return execute(self, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", counting)
        yield sent


@pytest.fixture
def pulled(developer: Client, guest: Client, place: Place) -> tuple[Client, Place, str, str]:
    """Somebody with a token, and an image to pull."""
    payload = developer.push_image(place.name, "v1")
    token = guest.token(f"repository:{place.name}:pull")
    # Opens the connections of the threads, which costs statements of its own.
    for _ in range(20):
        guest.request("GET", f"/v2/{place.name}/manifests/v1", token=token)
        guest.request("GET", f"/v2/{place.name}/blobs/{sha256(EMPTY_JSON)}", token=token)
    return guest, place, token, sha256(payload)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_costs_one_statement(
    pulled: tuple[Client, Place, str, str], method: str
) -> None:
    client, place, token, digest = pulled
    for reference in ("v1", digest):
        with statements() as sent:
            path = f"/v2/{place.name}/manifests/{reference}"
            assert client.request(method, path, token=token).status == 200
        assert len(sent) == 1, sent


def test_a_cold_manifest_costs_two_statements(pulled: tuple[Client, Place, str, str]) -> None:
    client, place, token, _ = pulled
    registry_tokens.forget_verified()
    with statements() as sent:
        path = f"/v2/{place.name}/manifests/v1"
        assert client.request("GET", path, token=token).status == 200
    # The second is for the signing keys, once for each process and key.
    assert len(sent) == 2, sent


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_costs_one_statement(pulled: tuple[Client, Place, str, str], method: str) -> None:
    client, place, token, _ = pulled
    with statements() as sent:
        path = f"/v2/{place.name}/blobs/{sha256(EMPTY_JSON)}"
        assert client.request(method, path, token=token).status == 200
    assert len(sent) == 1, sent


@pytest.mark.parametrize("path", ["tags/list", f"referrers/{sha256(b'x')}"])
def test_a_list_costs_two_statements(pulled: tuple[Client, Place, str, str], path: str) -> None:
    client, place, token, _ = pulled
    with statements() as sent:
        assert client.request("GET", f"/v2/{place.name}/{path}", token=token).status == 200
    assert len(sent) == 2, sent
