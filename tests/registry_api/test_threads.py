"""Whoever has to wait does so where nobody else needs the threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, transaction

from core.blobs.services import open_session
from registry_api import deliveries
from tests.registry_api.asgi import Answer
from tests.registry_api.cast import EMPTY_JSON, Client, sha256
from tests.registry_api.conftest import Place
from tests.registry_api.sending import upload_of

pytestmark = pytest.mark.django_db

MANY = 3 * settings.ROADSTEAD.server.registry_threads


@contextmanager
def locked_repository(name: str) -> Iterator[None]:
    """Hold a repository's row, as the deletion of a large one does."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            statement = "SELECT id FROM artifacts_repository WHERE name = %s FOR UPDATE"
            cursor.execute(statement, [name])
        yield


def set_to_work(pool: ThreadPoolExecutor, request: Callable[[], Answer]) -> None:
    """Send more requests than there are threads, and let them get stuck."""
    for _ in range(MANY):
        pool.submit(request)
    time.sleep(0.5)


def test_writers_who_wait_hold_up_no_pull(developer: Client, owner: Client, place: Place) -> None:
    payload = developer.push_image(place.name, "v1")
    large = developer.push_blob(place.other, b"x" * (1 << 20))
    digest = sha256(EMPTY_JSON)
    token = owner.token(f"repository:{place.name}:pull,push,delete")
    elsewhere = developer.token(f"repository:{place.other}:pull,push")
    numbers = iter(range(10 * MANY))
    guard = threading.Lock()

    def write() -> Answer:
        with guard:
            number = next(numbers)
        method, path, body = (
            ("DELETE", f"/v2/{place.name}/blobs/{digest}", None),
            ("DELETE", f"/v2/{place.name}/manifests/v1", None),
            ("PUT", f"/v2/{place.name}/manifests/v2", payload),
            ("POST", f"/v2/{place.name}/blobs/uploads/?mount={digest}&from={place.name}", b""),
            ("POST", f"/v2/{place.name}/blobs/uploads/?digest={digest}", EMPTY_JSON),
        )[number % 5]
        return owner.request(method, path, body=body, token=token)

    with ThreadPoolExecutor(MANY) as pool, locked_repository(place.name):
        set_to_work(pool, write)
        began = time.monotonic()
        for path in (f"/v2/{place.other}/tags/list", f"/v2/{place.other}/blobs/{large}"):
            assert developer.request("GET", path, token=elsewhere).status == 200
        # Who stands behind a writer waits as long as that does for the lock: ten seconds.
        assert time.monotonic() - began < 8


def test_a_busy_upload_holds_up_no_other(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "CLAIM_WAIT_SECONDS", 4.0)
    location = developer.start_upload(place.name)
    token = developer.token(f"repository:{place.name}:pull,push")
    upload = upload_of(location)
    with open_session(
        upload.pk, repository_name=place.name, owner=upload.owner, expected_offset=None
    ):
        answers: list[Answer] = []

        def intrude() -> Answer:
            answers.append(developer.request("PATCH", location, body=b"x", token=token))
            return answers[-1]

        with ThreadPoolExecutor(MANY) as pool:
            set_to_work(pool, intrude)
            path = f"/v2/{place.name}/blobs/uploads/?digest={sha256(b'other')}"
            assert developer.request("POST", path, body=b"other", token=token).status == 201
            assert answers == [], "it was answered after those who wait for the busy upload"
    assert {answer.status for answer in answers} == {503}
