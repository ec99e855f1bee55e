"""nginx in front, with the configuration that comes with Roadstead: it sends the layers."""

import email
import hashlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.images import make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Answer, Registry
from tests.clients.skopeo import Skopeo
from tests.support.server import ADMINISTRATOR, PASSWORD, REPOSITORY_ROOT, RunningServer, free_port

pytestmark = [pytest.mark.server, pytest.mark.client]

CONFIGURATION = REPOSITORY_ROOT / "deploy" / "nginx" / "roadstead.conf"
ACCOUNT = Account(ADMINISTRATOR, PASSWORD)
# The same in every process: parts of it are in the names of tests.
LARGE = random.Random(3).randbytes(3 << 20)
DIGEST = f"sha256:{hashlib.sha256(LARGE).hexdigest()}"
TAG = f'"{DIGEST}"'
CONSTANT_HEADERS = {
    "docker-content-digest": DIGEST,
    "etag": TAG,
    "cache-control": "private, max-age=31536000, immutable",
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
}


@dataclass
class Front:
    """nginx as it runs, and what it has handed over."""

    address: str
    log: Path
    requests: int = 0

    def get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[Answer, bool]:
        """Return the answer, and whether nginx took the body from a file."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        before = len(self._lines())
        answer = Registry(self.address, ACCOUNT).request(method, path, headers=fields)
        for _ in range(500):
            if len(lines := self._lines()) > before:
                return answer, lines[-1].startswith("/_blobs/blobs/")
            time.sleep(0.01)
        raise AssertionError("nginx wrote no line about the request")

    def _lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


@contextmanager
def nginx(
    directory: Path, server: RunningServer, *, storage: Path | None = None
) -> Iterator[Front]:
    """Run nginx with the lines marked "yours" filled in; it finds files in ``storage``."""
    front = Front(f"127.0.0.1:{free_port()}", directory / "access.log")
    text = CONFIGURATION.read_text(encoding="utf-8")
    for given, ours in (
        ("127.0.0.1:5000", server.registry),
        ("listen 80;", f"listen {front.address};"),
        ("/var/lib/roadstead/storage/", f"{storage or server.data_dir / 'storage'}/"),
    ):
        assert text.count(given) == 1, given
        text = text.replace(given, ours)
    (directory / "roadstead.conf").write_text(text, encoding="utf-8")
    places = "".join(
        f"{name}_temp_path {directory}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.getuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {directory}/pid; events {{}} http {{"
        f" log_format handed_over '$upstream_http_x_accel_redirect.';"
        f" access_log {front.log} handed_over; {places} include {directory}/roadstead.conf; }}",
        encoding="utf-8",
    )
    errors = directory / "error.log"
    command = ["nginx", "-c", str(directory / "nginx.conf"), "-e", str(errors)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            until_open(front.address, process, errors)
            yield front
        finally:
            process.terminate()


def until_open(address: str, process: "subprocess.Popen[bytes]", errors: Path) -> None:
    """Wait until nginx listens."""
    host, _, port = address.partition(":")
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        assert process.poll() is None, errors.read_text(encoding="utf-8")
        time.sleep(0.02)
    pytest.fail("nginx does not listen")


@pytest.fixture(scope="module")
def behind() -> Iterator[RunningServer]:
    """A server that leaves files to nginx."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    with RunningServer(storage_accel_prefix="/_blobs/", trusted_proxies="127.0.0.1/32") as running:
        yield running


@pytest.fixture(scope="module")
def front(behind: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx in front of it."""
    with nginx(tmp_path_factory.mktemp("nginx"), behind) as running:
        yield running


@pytest.fixture(scope="module")
def repository(front: Front) -> str:
    """A private repository with a blob, pushed through nginx."""
    name = f"{Management(front.address, ACCOUNT).create_project()}/app"
    assert Registry(front.address, ACCOUNT).push_blob(name, LARGE) == DIGEST
    return name


@pytest.fixture(scope="module")
def path(repository: str) -> str:
    """Where the blob is."""
    return f"/v2/{repository}/blobs/{DIGEST}"


def ensure_constant_headers(answer: Answer) -> None:
    """What is said of the blob is the same whoever sends it, and nginx adds nothing to it."""
    assert CONSTANT_HEADERS.items() <= answer.headers.items()
    assert answer.headers["x-request-id"]
    assert "last-modified" not in answer.headers
    assert "x-accel-redirect" not in answer.headers


def test_a_whole_blob(front: Front, path: str) -> None:
    for condition in ({}, {"If_None_Match": '"another"'}):
        answer, is_from_file = front.get(path, **condition)
        assert is_from_file
        assert (answer.status, answer.body) == (200, LARGE)
        assert answer.headers["content-length"] == str(len(LARGE))
        ensure_constant_headers(answer)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=1000000-1999999", 1_000_000, 1_999_999),
        ("bytes=3000000-", 3_000_000, len(LARGE) - 1),
        ("bytes=0-99999999", 0, len(LARGE) - 1),
        ("bytes=-10", len(LARGE) - 10, len(LARGE) - 1),
        ("bytes=-99999999", 0, len(LARGE) - 1),
    ],
)
def test_one_range(front: Front, path: str, asked: str, first: int, last: int) -> None:
    answer, is_from_file = front.get(path, Range=asked)
    assert is_from_file
    assert (answer.status, answer.body) == (206, LARGE[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(LARGE)}"
    ensure_constant_headers(answer)


def test_several_ranges(front: Front, path: str) -> None:
    answer, is_from_file = front.get(path, Range="bytes=0-9,1000000-1999999,-5")
    assert not is_from_file
    assert answer.status == 206
    assert answer.headers["docker-content-digest"] == DIGEST
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = list(email.message_from_bytes(head + answer.body).walk())[1:]
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {span}/{len(LARGE)}"
        for span in ("0-9", "1000000-1999999", f"{len(LARGE) - 5}-{len(LARGE) - 1}")
    ]
    assert b"\r\n\r\n" + LARGE[1_000_000:2_000_000] + b"\r\n--" in answer.body


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({"Range": "bytes=0-1", "If_Range": TAG}, 206, LARGE[:2]),
        ({"Range": "bytes=0-1", "If_Range": '"another"'}, 200, LARGE),
        ({"Range": "bytes=0-1", "If_Range": "Sat, 01 Jan 2028 00:00:00 GMT"}, 200, LARGE),
        ({"Range": "bytes=x-y"}, 200, LARGE),
        ({"Range": "lines=1-2"}, 200, LARGE),
        ({"If_Match": TAG}, 200, LARGE),
        ({"If_Modified_Since": "Sat, 01 Jan 2050 00:00:00 GMT"}, 200, LARGE),
        ({"If_Unmodified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200, LARGE),
        ({"If_None_Match": TAG}, 304, b""),
        ({"If_None_Match": TAG, "Range": "bytes=0-1"}, 304, b""),
    ],
)
def test_conditions_mean_what_they_mean_without_nginx(
    front: Front, path: str, headers: dict[str, str], status: int, body: bytes
) -> None:
    answer, is_from_file = front.get(path, **headers)
    assert not is_from_file
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["etag"] == TAG
    assert answer.headers["docker-content-digest"] == DIGEST


def test_a_range_beyond_the_end(front: Front, path: str) -> None:
    answer, _ = front.get(path, Range=f"bytes={len(LARGE)}-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(LARGE)}"
    assert answer.json["errors"][0]["code"] == "RANGE_INVALID"


def test_head(front: Front, path: str) -> None:
    answer, is_from_file = front.get(path, method="HEAD")
    assert not is_from_file
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(LARGE))
    ensure_constant_headers(answer)


def test_a_small_blob_is_sent_from_memory(front: Front, repository: str) -> None:
    digest = Registry(front.address, ACCOUNT).push_blob(repository, b"small")
    answer, is_from_file = front.get(f"/v2/{repository}/blobs/{digest}")
    assert not is_from_file
    assert (answer.status, answer.body) == (200, b"small")
    part, is_from_file = front.get(f"/v2/{repository}/blobs/{digest}", Range="bytes=1-2")
    assert is_from_file
    assert (part.status, part.body) == (206, b"ma")


def test_nobody_gets_to_the_files_without_rights(
    front: Front, behind: RunningServer, path: str
) -> None:
    stranger = Registry(front.address)
    assert stranger.request("GET", path).status == 401
    for key in behind.data_dir.glob("storage/blobs/*/*"):
        inside = f"/_blobs/{key.relative_to(behind.data_dir / 'storage')}"
        assert stranger.request("GET", inside).status == 404


def test_without_nginx_the_bytes_are_sent(behind: RunningServer, path: str) -> None:
    direct = Registry(behind.registry, ACCOUNT)
    answer = direct.request("GET", path)
    assert (answer.status, answer.body) == (200, LARGE)
    assert "x-accel-redirect" not in answer.headers


def test_a_client_that_reads_slowly(front: Front, path: str) -> None:
    connection = http.client.HTTPConnection(front.address, timeout=30)
    connection.connect()
    # Small beside the blob, but not so small that a timer of the kernel opens each window.
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.request("GET", path, headers={"Authorization": ACCOUNT.authorization})
    response = connection.getresponse()
    received = response.read(1)
    while piece := response.read(100_000):
        received += piece
        time.sleep(0.01)
    connection.close()
    assert received == LARGE


@pytest.mark.parametrize("damage", ["short", "missing"])
def test_a_damaged_blob_is_not_sent(
    front: Front, behind: RunningServer, repository: str, damage: str
) -> None:
    content = os.urandom(100_000)
    digest = Registry(front.address, ACCOUNT).push_blob(repository, content)
    (file,) = [f for f in behind.data_dir.glob("storage/blobs/*/*") if f.read_bytes() == content]
    if damage == "short":
        os.truncate(file, len(content) - 1)
    else:
        file.unlink()
    answer, is_from_file = front.get(f"/v2/{repository}/blobs/{digest}")
    assert not is_from_file
    assert answer.status == 500
    assert answer.json["errors"][0]["code"] == "UNKNOWN"


def test_a_file_that_nginx_cannot_read_is_no_fault_of_the_client(
    behind: RunningServer, path: str, tmp_path: Path
) -> None:
    with nginx(tmp_path, behind, storage=tmp_path / "elsewhere") as wrong:
        answer, is_from_file = wrong.get(path)
    assert is_from_file
    assert (answer.status, answer.json["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["cache-control"] == "no-store"


def test_an_image_through_nginx(front: Front, repository: str, skopeo: Skopeo) -> None:
    reference = f"{front.address}/{repository}:1.0"
    skopeo.log_in(front.address, ACCOUNT)
    skopeo.push(skopeo.take(make_image(layers=[make_layer(), make_layer()])), reference)
    skopeo.clear()
    skopeo.pull(reference)
    assert skopeo.pulled_digest(reference) == skopeo.pushed_digest()
