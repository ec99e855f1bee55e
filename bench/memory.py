"""Part "memory": what all processes of a server hold, idle and after some load."""

import time

from bench.content import ContentMaker, make_image
from bench.processes import family, memory_bytes
from bench.pusher import Pusher
from bench.results import Better, Goal, Measured, Row, Section
from bench.servers import PULL_AND_PUSH, Server
from bench.setting import Setting
from bench.statistics import Series

SETTLE_SECONDS = 3.0
CONNECTIONS = 32
MOST_MEGABYTES = 700.0


def measure_memory(setting: Setting) -> Section:
    """Measure once without a request, and once after a round of pulls."""
    time.sleep(SETTLE_SECONDS)
    goal = Goal(MOST_MEGABYTES, Better.LOWER)
    rows = []
    for server in setting.servers:
        own = goal if server is setting.roadstead else None
        rows.append(_row(f"{server.name}, idle", server, own))
        _pull(setting, server)
        rows.append(_row(f"{server.name}, after pulls", server, own))
    processes = len(family(setting.roadstead.pid))
    notes = [
        "Proportional set size: pages that processes share are counted once.",
        f"Roadstead consists of {processes} processes, PostgreSQL and Redis among them.",
    ]
    return Section("Memory", "all processes", "-", rows, notes)


def _row(work: str, server: Server, goal: Goal | None) -> Row:
    megabytes = memory_bytes(family(server.pid)) / 1e6
    return Row(work, "MB", Measured(Series((megabytes,))), goal=goal)


def _pull(setting: Setting, server: Server) -> None:
    repository = server.repository("memory")
    headers = server.headers(repository, PULL_AND_PUSH)
    with Pusher(server.address) as pusher:
        pusher.push_image(repository, make_image(ContentMaker(1_500)), headers)
    setting.get(server, f"/v2/{repository}/manifests/latest", headers, CONNECTIONS)
