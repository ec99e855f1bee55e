"""A layer of 500 MB passes through the server without staying in its memory."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.clients.images import OCI_LAYER, Layout, make_image
from tests.clients.management import Management
from tests.clients.protocol import Registry
from tests.clients.references import repository_of
from tests.clients.skopeo import Skopeo
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client, pytest.mark.slow]

Place = Callable[[str], str]
SIZE_BYTES = 500_000_000
PIECE_BYTES = 4_000_000
GROWTH_LIMIT_BYTES = 100_000_000


class Peak:
    """The most memory a server used while it was watched, over what it used before."""

    def __init__(self, before: dict[str, int]) -> None:
        """Start from the memory of each process in bytes."""
        self._before = before
        self.growth_bytes = 0
        self.growths: dict[str, int] = {}
        self.samples = 0

    def look(self, now: dict[str, int]) -> None:
        """Take one more sample."""
        self.samples += 1
        growths = {name: size - self._before.get(name, 0) for name, size in now.items()}
        if sum(growths.values()) > self.growth_bytes:
            self.growth_bytes = sum(growths.values())
            self.growths = {name: size for name, size in growths.items() if abs(size) > 1_000_000}


def memory_of(server: RunningServer) -> dict[str, int]:
    """Return the memory of each process of the server, shared pages divided among them (PSS)."""
    found = {}
    for process in server.processes():
        with suppress(psutil.NoSuchProcess):
            name = f"{process.pid} {' '.join(process.cmdline()[-3:])[-40:]}"
            found[name] = int(process.memory_full_info().pss)
    return found


@contextmanager
def watched_memory(server: RunningServer) -> Iterator[Peak]:
    """Sample the memory of all processes of the server."""
    peak, over = Peak(memory_of(server)), threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            peak.look(memory_of(server))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def add_large_image(layout: Layout) -> tuple[str, str]:
    """Write an image whose layer is large and does not compress; return name and digest."""
    piece = bytearray(os.urandom(PIECE_BYTES))
    running = hashlib.sha256()
    written = layout.directory / "large"
    with written.open("wb") as file:
        for number in range(SIZE_BYTES // PIECE_BYTES):
            piece[:8] = number.to_bytes(8, "big")
            running.update(piece)
            file.write(piece)
    digest = f"sha256:{running.hexdigest()}"
    written.rename(layout.blob_path(digest))
    base = make_image(layers=[])
    manifest = json.loads(base.manifest)
    manifest["layers"] = [{"mediaType": OCI_LAYER, "digest": digest, "size": SIZE_BYTES}]
    image = type(base)((), base.config, json.dumps(manifest).encode())
    return layout.add_image("large", image), image.digest


def test_memory_stays_flat(
    skopeo: Skopeo,
    server: RunningServer,
    management: Management,
    project: str,
    registry: Registry,
    place: Place,
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path / "layout")
    local, digest = add_large_image(layout)
    # Not a user: to check a password takes 100 MB by itself, on purpose.
    skopeo.log_in(server.registry, management.create_robot(project, "pull", "push").account)
    try:
        with watched_memory(server) as pushing:
            skopeo.copy(local, f"docker://{place('big')}", "--preserve-digests", timeout=180)
        with watched_memory(server) as pulling:
            skopeo.copy(f"docker://{place('big')}", f"dir:{tmp_path / 'pulled'}", timeout=180)
    finally:
        for file in (*layout.directory.rglob("*"), *(tmp_path / "pulled").glob("*")):
            if file.is_file():
                file.unlink()

    # skopeo compares the digest of the layer while it pulls.
    assert registry.digest_of(repository_of(place("big")), "big") == digest
    assert min(pushing.samples, pulling.samples) > 3
    assert pushing.growth_bytes < GROWTH_LIMIT_BYTES, pushing.growths
    assert pulling.growth_bytes < GROWTH_LIMIT_BYTES, pulling.growths
