"""What every part of the benchmark works with: the servers, the clients, the rounds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.client import Load, drive, request_bytes
from bench.measure import Sample, Side, alternate
from bench.results import Better, Goal, Row
from bench.servers import Reference, Roadstead, Server
from bench.wrk import drive_wrk
from core.oci.media_types import OCI_IMAGE_MANIFEST

ACCEPT = {"Accept": OCI_IMAGE_MANIFEST}
"""Without it docker-registry says that it has no such manifest."""


ROUNDS_FACTOR: Final = 3
"""How many times as many rounds get what differs much from one to the next."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both servers do, and the least ratio of Roadstead to the reference."""

    work: str
    unit: str
    run: Callable[[Server], Sample]
    goal: float


@dataclass(frozen=True, slots=True)
class Setting:
    """The servers that run, and how long and how often they are measured."""

    roadstead: Roadstead
    reference: Reference | None
    wrk: str | None
    rounds: int
    seconds: float
    """Length of one round of reads."""

    @property
    def servers(self) -> tuple[Server, ...]:
        """The reference, if there is one, and Roadstead behind it."""
        return (self.reference, self.roadstead) if self.reference else (self.roadstead,)

    def access(self, path: str, actions: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the headers for a repository on each server, by the server's name.

        Fetched before the rounds, so that no round pays for a token.
        """
        return {
            server.name: server.headers(server.repository(path), actions) for server in self.servers
        }

    def get(self, server: Server, path: str, headers: Mapping[str, str], connections: int) -> Load:
        """GET one path for a round, with wrk when it is there."""
        headers = {**ACCEPT, **headers}
        if self.wrk is not None:
            url = f"http://{server.address}{path}"
            return drive_wrk(self.wrk, url, headers, connections=connections, seconds=self.seconds)
        return self.send(server, "GET", path, headers, connections)

    def send(
        self,
        server: Server,
        method: str,
        path: str,
        headers: Mapping[str, str],
        connections: int,
    ) -> Load:
        """Send one request again and again for a round, with the own client."""
        request = self.request(server, method, path, headers)
        return drive(server.address, [request], connections=connections, seconds=self.seconds)

    @staticmethod
    def request(server: Server, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """Return a request as the own client sends it."""
        return request_bytes(method, server.address, path, {**ACCEPT, **headers})

    def compare(
        self,
        work: str,
        unit: str,
        run: Callable[[Server], Sample],
        *,
        goal: float,
        rounds: int | None = None,
    ) -> Row:
        """Measure the servers in turn; `goal` is the least ratio of Roadstead to the reference."""
        [row] = self.compare_together([Comparison(work, unit, run, goal)], rounds or self.rounds)
        return row

    def compare_together(self, comparisons: Sequence[Comparison], rounds: int) -> list[Row]:
        """Measure both servers at one kind of work after the other, and so again each round.

        A machine that is slow for a while is so for a few rounds of each, and not for all of one.
        """
        sides = [
            Side(server.pid, _bound(comparison.run, server))
            for comparison in comparisons
            for server in self.servers
        ]
        measured = iter(alternate(sides, rounds))
        rows = []
        for comparison in comparisons:
            *baseline, subject = [next(measured) for _ in self.servers]
            rows.append(
                Row(
                    comparison.work,
                    comparison.unit,
                    subject,
                    baseline[0] if baseline else None,
                    Goal(comparison.goal, Better.HIGHER),
                    needs_baseline=True,
                )
            )
        return rows


def _bound(run: Callable[[Server], Sample], server: Server) -> Callable[[], Sample]:
    return lambda: run(server)


def rate(load: Load) -> Sample:
    """Return requests per second."""
    return Sample(load.per_second, load.requests)


def milliseconds(load: Load) -> Sample:
    """Return the mean time of a request in ms; it says most with one connection."""
    return Sample(load.seconds * 1_000 / load.requests, load.requests)


@contextmanager
def running(server: Roadstead | Reference) -> Iterator[None]:
    """Start a server and stop it at the end, also when it did not come up."""
    try:
        server.start()
        yield
    finally:
        server.stop()
