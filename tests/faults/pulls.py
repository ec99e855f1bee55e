"""Everything that a registry serves, fetched over HTTP and compared with its digests.

What there must be is read from the database; whether it is served, and served right, is asked
of the server as any client would ask.
"""

import hashlib
import http.client
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from tests.clients.management import Management
from tests.clients.protocol import MANIFEST_TYPES, TIMEOUT_SECONDS, Account
from tests.faults.contents import PIECE_BYTES
from tests.faults.invariants import Store
from tests.support.server import RunningServer

_ALGORITHMS = {1: "sha256", 2: "sha512"}

_TAGS = """
SELECT r.name, t.name, t.digest
  FROM artifacts_tag t JOIN artifacts_repository r ON r.id = t.repository_id
 WHERE t.ended_at IS NULL
"""
_MANIFESTS = """
SELECT r.name, m.digest, m.size_bytes, m.media_type
  FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id
"""
_BLOBS = """
SELECT r.name, b.digest, b.size_bytes
  FROM artifacts_repositoryblob l
  JOIN artifacts_repository r ON r.id = l.repository_id
  JOIN blobs_blob b ON b.id = l.blob_id
"""


class Fetched(NamedTuple):
    """An answer whose body was hashed as it came."""

    status: int
    digest: str
    size_bytes: int
    content_digest: str | None
    content_type: str | None
    body: bytes
    """Its first piece, which is all of a small one."""


class Puller:
    """Fetches over one connection that is kept, as clients do."""

    def __init__(self, address: str, account: Account) -> None:
        """Take `address` as host and port."""
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
        self._headers = {"Authorization": account.authorization, "Accept": MANIFEST_TYPES}

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def fetch(self, path: str, *, algorithm: str = "sha256", method: str = "GET") -> Fetched:
        """Fetch a path and hash what comes; an answer that leads to a bucket is followed."""
        self._connection.request(method, path, headers=self._headers)
        response = self._connection.getresponse()
        if response.status == 307:
            response.read()
            target = urlsplit(response.headers["Location"])
            with closing(http.client.HTTPConnection(target.netloc)) as elsewhere:
                elsewhere.request(method, f"{target.path}?{target.query}")
                return _fetched(elsewhere.getresponse(), algorithm)
        return _fetched(response, algorithm)


def pull_everything(store: Store, address: str, account: Account) -> int:
    """Pull every tag, manifest and blob; return how many answers were compared.

    AssertionError lists all that is missing or wrong. A blob that several repositories share
    is fetched from one and asked for in the others. Nobody may push or delete meanwhile.
    """
    with closing(Puller(address, account)) as puller:
        checks = [*_wrong_tags(store, puller), *_wrong_manifests(store, puller)]
        checks += _wrong_blobs(store, puller)
    wrong = [found for found in checks if found]
    assert not wrong, "\n".join(wrong)
    return len(checks)


def check_everything(server: RunningServer, store: Store, account: Account) -> int:
    """Expect every invariant, then pull everything; return how many answers were compared."""
    store.assert_sound()
    return pull_everything(store, server.registry, account)


def forget_what_is_old(server: RunningServer, store: Store, account: Account) -> None:
    """Delete the repositories that were there at the last call; what came since then stays.

    So each fault meets what was there before it, and the checks do not grow with every test.
    """
    management = Management(server.registry, account)
    found = {name for (name,) in store.records.rows("SELECT name FROM artifacts_repository")}
    for name in sorted(found & store.old_repositories):
        project, _, rest = name.partition("/")
        escaped = quote(quote(rest, safe=""), safe="")
        management.call("DELETE", f"projects/{project}/repositories/{escaped}", expect=200)
    store.old_repositories = found


def _wrong_tags(store: Store, puller: Puller) -> Iterator[str]:
    names: dict[str, set[str]] = defaultdict(set)
    for repository, name, stored in store.records.rows(_TAGS):
        names[repository].add(name)
        digest = _text(stored)
        got = puller.fetch(f"/v2/{repository}/manifests/{name}", algorithm=digest.partition(":")[0])
        is_right = (got.status, got.digest, got.content_digest) == (200, digest, digest)
        yield "" if is_right else f"{repository}:{name} is not {digest} but {got[:5]}"
    for repository, expected in names.items():
        got = puller.fetch(f"/v2/{repository}/tags/list?n=10000")
        is_right = got.status == 200 and all(f'"{each}"'.encode() in got.body for each in expected)
        yield "" if is_right else f"{repository} does not list its tags: {got[:5]}"


def _wrong_manifests(store: Store, puller: Puller) -> Iterator[str]:
    for repository, stored, size, media_type in store.records.rows(_MANIFESTS):
        digest = _text(stored)
        got = puller.fetch(
            f"/v2/{repository}/manifests/{digest}", algorithm=digest.partition(":")[0]
        )
        told = (got.status, got.digest, got.size_bytes, got.content_type)
        is_right = told == (200, digest, size, media_type)
        yield "" if is_right else f"{repository}@{digest}: {got[:5]}"


def _wrong_blobs(store: Store, puller: Puller) -> Iterator[str]:
    fetched: set[str] = set()
    for repository, stored, size in store.records.rows(_BLOBS):
        digest = _text(stored)
        method = "HEAD" if digest in fetched else "GET"
        fetched.add(digest)
        got = puller.fetch(
            f"/v2/{repository}/blobs/{digest}",
            algorithm=digest.partition(":")[0],
            method=method,
        )
        told = (got.status, got.digest, got.size_bytes)
        expected = (200, digest, size) if method == "GET" else (200, got.digest, 0)
        yield "" if told == expected else f"{repository} {method} blob {digest}: {got[:5]}"


def _fetched(response: http.client.HTTPResponse, algorithm: str) -> Fetched:
    running, size, first = hashlib.new(algorithm), 0, b""
    while piece := response.read(PIECE_BYTES):
        running.update(piece)
        size += len(piece)
        first = first or piece
    headers = response.headers
    return Fetched(
        response.status,
        f"{algorithm}:{running.hexdigest()}",
        size,
        headers["Docker-Content-Digest"],
        headers["Content-Type"],
        first,
    )


def _text(stored: bytes) -> str:
    raw = bytes(stored)
    return f"{_ALGORITHMS[raw[0]]}:{raw[1:].hex()}"
