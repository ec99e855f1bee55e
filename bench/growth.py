"""Part "growth": what a request costs as repositories grow, beside a server that stays small."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.client import drive, request_bytes
from bench.content import ContentMaker, make_image
from bench.measure import TRIES, Sample, Side, alternate, timed
from bench.pusher import Push, Pusher, push_images
from bench.results import Better, Goal, Row, Section
from bench.seed import SeededRepository, find_seeded, refresh_statistics, seed_repositories
from bench.servers import PULL, PULL_AND_PUSH, Roadstead
from bench.setting import Setting, milliseconds, running

SMALL = 10
SIZES = (1_000, 100_000)
PREFIX = "grown"
SAMPLE = 64
"""How many different repositories the requests of a turn go round."""

# What is compared costs nearly the same: many short turns tell it apart.
TURNS = 9
"""How many turns a round has."""

TURN_SHARE = 0.1
"""How long a turn of reads is, as a share of a round."""

PUSHES_PER_TURN = 4
MOST_RATIO = 1.25
LAYER_BYTES = 4_096


@dataclass(slots=True)
class _Grower:
    """A server with a number of repositories that only grows."""

    server: Roadstead
    shared_blob: str
    repositories: int = 0

    def grow_to(self, count: int) -> None:
        with self.server.cursor() as cursor:
            seed_repositories(
                cursor, self.server.project, PREFIX, self.repositories + 1, count, self.shared_blob
            )
            refresh_statistics(cursor)
        self.repositories = count

    def sample(self) -> list[SeededRepository]:
        """Return repositories spread evenly over all."""
        count = min(SAMPLE, self.repositories)
        numbers = [1 + number * self.repositories // count for number in range(count)]
        with self.server.cursor() as cursor:
            return find_seeded(cursor, self.server.project, PREFIX, numbers)


def measure_growth(setting: Setting) -> Section:
    """Measure on two servers in turn: one keeps 10 repositories, the other gets more and more."""
    rows: list[Row] = []
    with _grower() as small, _grower() as grown:
        small.grow_to(SMALL)
        for size in SIZES:
            grown.grow_to(size)
            for work, made in _works(setting).items():
                rows.append(_row(setting, f"{work}, {size:,}", made, small, grown))
    notes = [
        "One connection. Requests go round up to 64 repositories that are spread over all; "
        "pushes make new ones, of 4 KB each.",
    ]
    return Section("Growth", "grown", f"{SMALL} repositories", rows, notes)


Work = Callable[[_Grower], Callable[[], Sample]]


def _row(setting: Setting, work: str, made: Work, small: _Grower, grown: _Grower) -> Row:
    sides = [Side(each.server.pid, made(each)) for each in (small, grown)]
    baseline, subject = alternate(sides, setting.rounds * TURNS)
    return Row(work, "ms", subject, baseline, Goal(MOST_RATIO, Better.LOWER))


def _works(setting: Setting) -> Mapping[str, Work]:
    return {
        "HEAD manifest by tag": _reader(
            setting, lambda one: ("HEAD", f"/v2/{one.name}/manifests/{one.tag}")
        ),
        "GET manifest by digest": _reader(
            setting, lambda one: ("GET", f"/v2/{one.name}/manifests/{one.digest}")
        ),
        "GET shared blob of 1.5 KB": _blob_reader(setting),
        "Push image": _pusher(setting),
    }


def _reader(setting: Setting, target: Callable[[SeededRepository], tuple[str, str]]) -> Work:
    def made(grower: _Grower) -> Callable[[], Sample]:
        address = grower.server.address
        requests = [
            request_bytes(*_with_host(target(one), address), grower.server.headers(one.name, PULL))
            for one in grower.sample()
        ]
        seconds = setting.seconds * TURN_SHARE
        return lambda: milliseconds(drive(address, requests, connections=1, seconds=seconds))

    return made


def _blob_reader(setting: Setting) -> Work:
    def made(grower: _Grower) -> Callable[[], Sample]:
        digest = grower.shared_blob
        return _reader(setting, lambda one: ("GET", f"/v2/{one.name}/blobs/{digest}"))(grower)

    return made


def _with_host(target: tuple[str, str], address: str) -> tuple[str, str, str]:
    method, path = target
    return method, address, path


def _pusher(setting: Setting) -> Work:
    def made(grower: _Grower) -> Callable[[], Sample]:
        batches = [_pushes(grower.server) for _ in range(setting.rounds * TURNS * TRIES + 1)]

        def run() -> Sample:
            pushes = batches.pop()
            seconds = timed(lambda: push_images(grower.server.address, pushes, 1))
            return Sample(seconds * 1_000 / len(pushes), len(pushes))

        return run

    return made


def _pushes(server: Roadstead) -> Sequence[Push]:
    layers = ContentMaker(LAYER_BYTES)
    names = [server.repository(f"new-{os.urandom(6).hex()}") for _ in range(PUSHES_PER_TURN)]
    return [Push(name, server.headers(name, PULL_AND_PUSH), make_image(layers)) for name in names]


@contextmanager
def _grower() -> Iterator[_Grower]:
    """Start a server that has nothing but the blob which its repositories will share."""
    server = Roadstead()
    with running(server):
        name = server.repository("shared")
        image = make_image(ContentMaker(1_500))
        with Pusher(server.address) as pusher:
            pusher.push_image(name, image, server.headers(name, PULL_AND_PUSH))
        yield _Grower(server, image.layer.digest)
