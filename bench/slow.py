"""Part "slow": how long others wait for manifests while 500 clients read at 10 KB/s."""

import time
from collections import defaultdict
from collections.abc import Mapping

from bench.client import request_bytes
from bench.content import ContentMaker, make_image
from bench.errors import BenchmarkFailed
from bench.pusher import Pusher
from bench.results import Better, Goal, Measured, Row, Section
from bench.servers import PULL, PULL_AND_PUSH, Server
from bench.setting import Setting
from bench.slow_readers import slow_readers
from bench.statistics import Series, percentile

READERS = 500
BYTES_PER_SECOND = 10_000
LARGE_BYTES = 100_000_000
CONNECTIONS = 4
SETTLE_SECONDS = 1.0
SHARES = {"p50": 0.5, "p99": 0.99}
MOST_RATIO = 2.0
LEAST_READING = 0.99
REPOSITORY = "slow"


def measure_slow(setting: Setting) -> Section:
    """Measure times of GET manifest by tag without and with slow readers, in turn."""
    image, large = make_image(ContentMaker(1_500)), ContentMaker(LARGE_BYTES).make()
    rows: list[Row] = []
    notes = [f"{CONNECTIONS} connections ask for manifests; {READERS} read a blob of 100 MB."]
    for server in setting.servers:
        repository = server.repository(REPOSITORY)
        headers = server.headers(repository, PULL_AND_PUSH)
        with Pusher(server.address) as pusher:
            pusher.push_image(repository, image, headers)
            pusher.push_whole(repository, large, headers)
        found, speeds = _rounds(setting, server, large.digest)
        for name in SHARES:
            # The goal is Roadstead's own; the reference shows what the machine makes of it.
            goal = Goal(MOST_RATIO, Better.LOWER) if name == "p99" else None
            baseline, subject = found[name, "idle"], found[name, "slow"]
            work = f"GET manifest, {name}, {server.name}"
            is_own = server is setting.roadstead
            rows.append(Row(work, "ms", subject, baseline, goal if is_own else None))
        notes.append(f"Each reader of {server.name} got {min(speeds) / 1_000:.1f} KB/s or more.")
    return Section("Slow clients", f"{READERS} slow readers", "no slow readers", rows, notes)


def _rounds(
    setting: Setting, server: Server, digest: str
) -> tuple[dict[tuple[str, str], Measured], list[float]]:
    repository = server.repository(REPOSITORY)
    headers = server.headers(repository, PULL)
    request = request_bytes("GET", server.address, f"/v2/{repository}/blobs/{digest}", headers)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    speeds = []
    for number in range(setting.rounds + 1):
        idle = _times(setting, server, headers)
        reading = slow_readers(
            server.address, request, count=READERS, bytes_per_second=BYTES_PER_SECOND
        )
        with reading as readers:
            time.sleep(SETTLE_SECONDS)
            busy = _times(setting, server, headers)
        if readers.still_reading < LEAST_READING * READERS:
            raise BenchmarkFailed(f"{server.name} dropped slow readers: {readers}")
        speeds.append(readers.bytes_per_second)
        if number:
            for name, share in SHARES.items():
                values[name, "idle"].append(percentile(idle, share) * 1_000)
                values[name, "slow"].append(percentile(busy, share) * 1_000)
    return {key: Measured(Series(tuple(found))) for key, found in values.items()}, speeds


def _times(setting: Setting, server: Server, headers: Mapping[str, str]) -> list[float]:
    path = f"/v2/{server.repository(REPOSITORY)}/manifests/latest"
    return list(setting.send(server, "GET", path, headers, CONNECTIONS).latencies)
