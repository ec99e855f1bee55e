"""Requests to uploads, and what is left of them in database and storage."""

from core.blobs.models import Upload
from core.storage.selection import default_driver
from tests.registry_api.asgi import Answer
from tests.registry_api.cast import Client

MIB = 1 << 20


def patch(
    client: Client, location: str, body: bytes | list[bytes], content_range: str | None = None
) -> Answer:
    headers = {} if content_range is None else {"Content-Range": content_range}
    return client.request("PATCH", location, headers=headers, body=body)


def put(client: Client, location: str, digest: str, body: bytes | list[bytes] = b"") -> Answer:
    return client.request("PUT", f"{location}?digest={digest}", body=body)


def progress(client: Client, location: str) -> str:
    answer = client.get(location)
    assert answer.status == 204, answer.body
    return answer.headers["range"]


def stored_objects() -> int:
    return len(list(default_driver().list_blobs()))


def upload_of(location: str) -> Upload:
    return Upload.objects.get(pk=location.rpartition("/")[2])
