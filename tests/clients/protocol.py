"""The registry protocol spoken directly, to see what clients do not show.

Every call has a time limit. `ConnectionLost` means that the server went away before it
answered, which tests of crashes wait for.
"""

import base64
import hashlib
import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 90.0
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class ConnectionLost(Exception):
    """The server closed the connection, or is not there, instead of answering."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can log in."""

    username: str
    secret: str

    @property
    def authorization(self) -> str:
        """Value of the header for HTTP Basic."""
        text = f"{self.username}:{self.secret}".encode()
        return f"Basic {base64.b64encode(text).decode()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """Where the answer leads, as path and query."""
        return self.headers["location"]

    @property
    def received(self) -> int:
        """How many bytes of an upload the server holds, from its Range header."""
        first, _, last = self.headers["range"].partition("-")
        assert first == "0", f"Range: {self.headers['range']}"
        # An empty upload and one of a single byte are both written 0-0.
        return int(last) + 1 if int(last) else 0


class Registry:
    """A registry as one account sees it."""

    def __init__(self, address: str, account: Account | None = None) -> None:
        """Take `address` as host and port; without an account requests are anonymous."""
        self.address = address
        self._account = account

    def as_account(self, account: Account | None) -> "Registry":
        """Return the same registry as another account sees it."""
        return Registry(self.address, account)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Make one request on a new connection. Raises ConnectionLost."""
        sent = dict(headers or {})
        if self._account is not None:
            sent.setdefault("Authorization", self._account.authorization)
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request(
                method, path, body, sent, encode_chunked=not isinstance(body, bytes | None)
            )
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())
        except (ConnectionError, http.client.HTTPException) as error:
            raise ConnectionLost(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def start_upload(self, repository: str) -> str:
        """Begin an upload and return its location."""
        return self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/").location

    def append(self, location: str, data: bytes, *, start: int | None = None) -> Answer:
        """Send a piece of an upload, with its range when a start is given."""
        headers = {"Content-Type": "application/octet-stream"}
        if start is not None:
            headers["Content-Range"] = f"{start}-{start + len(data) - 1}"
        return self.request("PATCH", location, body=data, headers=headers)

    def finish(self, location: str, digest: str, data: bytes = b"") -> Answer:
        """Close an upload with its last bytes."""
        mark = "&" if "?" in location else "?"
        return self.request(
            "PUT",
            f"{location}{mark}digest={digest}",
            body=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def upload_status(self, location: str) -> Answer:
        """Ask how far an upload is."""
        return self.request("GET", location)

    def push_blob(self, repository: str, content: bytes) -> str:
        """Upload a blob and return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        answer = self.finish(self.start_upload(repository), digest, content)
        assert answer.status == 201, answer
        return digest

    def head_blob(self, repository: str, digest: str) -> Answer:
        """Ask for a blob without its bytes."""
        return self.request("HEAD", f"/v2/{repository}/blobs/{digest}")

    def get_blob(self, repository: str, digest: str) -> Answer:
        """Fetch a blob."""
        return self.request("GET", f"/v2/{repository}/blobs/{digest}")

    def push_manifest(self, repository: str, reference: str, payload: bytes) -> Answer:
        """Push a manifest that says its own media type."""
        media_type: str = json.loads(payload)["mediaType"]
        return self.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            body=payload,
            headers={"Content-Type": media_type},
        )

    def get_manifest(self, repository: str, reference: str) -> Answer:
        """Fetch a manifest."""
        return self.request(
            "GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}
        )

    def head_manifest(self, repository: str, reference: str) -> Answer:
        """Ask for a manifest without its bytes."""
        return self.request(
            "HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}
        )

    def digest_of(self, repository: str, reference: str) -> str:
        """Return the digest that the registry tells for a tag."""
        answer = self.head_manifest(repository, reference)
        assert answer.status == 200, (repository, reference, answer)
        return answer.headers["docker-content-digest"]

    def verify(self, repository: str, reference: str) -> None:
        """Fetch a manifest and all it names, and compare every digest and size."""
        answer = self.get_manifest(repository, reference)
        assert answer.status == 200, (repository, reference, answer)
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        assert answer.headers["docker-content-digest"] == digest
        document = answer.json
        for child in document.get("manifests", ()):
            self.verify(repository, child["digest"])
        for part in (*document.get("layers", ()), *filter(None, [document.get("config")])):
            blob = self.get_blob(repository, part["digest"])
            assert blob.status == 200, (repository, part, blob.status)
            assert len(blob.body) == part["size"]
            assert part["digest"] == f"sha256:{hashlib.sha256(blob.body).hexdigest()}"

    def _expect(self, status: int, method: str, path: str) -> Answer:
        answer = self.request(method, path, body=b"" if method == "POST" else None)
        assert answer.status == status, (method, path, answer)
        return answer
