"""Part "pushes": large blobs and whole images of 1 MB, every byte of them new."""

import os
import time
from contextlib import suppress
from pathlib import Path

from bench.content import ContentMaker, make_image
from bench.measure import TRIES, Sample, timed
from bench.pusher import Push, push_contents, push_images
from bench.results import Row, Section
from bench.servers import PULL_AND_PUSH, Server
from bench.setting import Setting

LARGE_BYTES = 100_000_000
LAYER_BYTES = 1_000_000
REPOSITORY = "pushes"
BLOBS_PER_ROUND = {1: 2, 4: 4}
"""By the number of connections."""

# How many images a turn pushes over so many connections, and how many turns a round has: the disk
# is slow for moments, which many short turns share out.
IMAGE_TURNS = {1: (8, 25), 8: (32, 9)}
LEAST_RATIO = 1.2


def measure_pushes(setting: Setting) -> Section:
    """Measure pushes; both servers make bytes durable before they answer."""
    large, layers = ContentMaker(LARGE_BYTES), ContentMaker(LAYER_BYTES)
    rows = [
        _blob_row(setting, large, connections, streamed=streamed)
        for streamed in (False, True)
        for connections in BLOBS_PER_ROUND
    ]
    rows += [_image_row(setting, layers, connections) for connections in IMAGE_TURNS]
    notes = [
        "A 100 MB blob goes as POST and PUT, or as POST, a chunked PATCH and PUT.",
        "An image goes into a repository of its own: HEAD, POST, PATCH and PUT for the layer of "
        "1 MB and for the config, then the manifest. Roadstead's tokens are fetched beforehand.",
    ]
    return Section("Pushes", "Roadstead", "docker-registry", rows, notes)


def _blob_row(setting: Setting, maker: ContentMaker, connections: int, *, streamed: bool) -> Row:
    access = setting.access(REPOSITORY, PULL_AND_PUSH)

    def run(server: Server) -> Sample:
        contents = [maker.make() for _ in range(BLOBS_PER_ROUND[connections])]
        with _swept(server):
            seconds = timed(
                lambda: push_contents(
                    server.address,
                    server.repository(REPOSITORY),
                    access[server.name],
                    contents,
                    connections=connections,
                    streamed=streamed,
                )
            )
        return Sample(sum(each.size_bytes for each in contents) / seconds / 1e6, len(contents))

    manner = "PATCH and PUT" if streamed else "PUT"
    work = f"Push blob of 100 MB, {manner}, c={connections}"
    return setting.compare(work, "MB/s", run, goal=LEAST_RATIO)


def _image_row(setting: Setting, layers: ContentMaker, connections: int) -> Row:
    count, turns = IMAGE_TURNS[connections]
    rounds = setting.rounds * turns
    # Made before the rounds, so that no round pays for tokens.
    prepared = {
        server.name: [_pushes(server, layers, count) for _ in range(rounds * TRIES + 1)]
        for server in setting.servers
    }

    def run(server: Server) -> Sample:
        pushes = prepared[server.name].pop()
        with _swept(server):
            seconds = timed(lambda: push_images(server.address, pushes, connections))
        return Sample(count / seconds, count)

    work = f"Push image of 1 MB, c={connections}"
    return setting.compare(work, "images/s", run, goal=LEAST_RATIO, rounds=rounds)


def _pushes(server: Server, layers: ContentMaker, count: int) -> list[Push]:
    """Return pushes of new images, each into a new repository."""
    names = [server.repository(f"image-{os.urandom(6).hex()}") for _ in range(count)]
    return [Push(name, server.headers(name, PULL_AND_PUSH), make_image(layers)) for name in names]


class _swept:  # noqa: N801  (used like a function)
    """Start with nothing waiting for the disk; remove the large files of the round afterwards.

    The servers of a benchmark are thrown away and nobody asks for these blobs again, so the
    files may go behind their back: gigabytes less on the disk.
    """

    def __init__(self, server: Server) -> None:
        self._storage = server.storage

    def __enter__(self) -> None:
        os.sync()
        self._began = time.time() - 1

    def __exit__(self, *_: object) -> None:
        for path in self._storage.rglob("*"):
            with suppress(FileNotFoundError):
                if self._is_of_this_round(path):
                    path.unlink()

    def _is_of_this_round(self, path: Path) -> bool:
        facts = path.lstat()
        return path.is_file() and facts.st_size >= LAYER_BYTES and facts.st_mtime >= self._began
