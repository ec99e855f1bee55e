"""Part "reads": manifests by tag and digest, small and large blobs."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bench.client import Client
from bench.content import ContentMaker, Image, make_image
from bench.measure import Sample
from bench.pusher import Pusher
from bench.results import Row, Section
from bench.servers import PULL, PULL_AND_PUSH, Server
from bench.setting import ROUNDS_FACTOR, Comparison, Setting, rate

SMALL_BYTES = 1_500
LARGE_BYTES = 100_000_000
REPOSITORY = "reads"
CONNECTIONS = (1, 32)
LARGE_CONNECTIONS = (1, 8)
MANIFEST_RATIO, SMALL_RATIO, LARGE_RATIO = 2.0, 4.0, 1.2


def measure_reads(setting: Setting) -> Section:
    """Measure reads of one image that both servers hold."""
    image, large = make_image(ContentMaker(SMALL_BYTES)), ContentMaker(LARGE_BYTES).make()
    for server in setting.servers:
        repository = server.repository(REPOSITORY)
        headers = server.headers(repository, PULL_AND_PUSH)
        with Pusher(server.address) as pusher:
            pusher.push_image(repository, image, headers)
            pusher.push_whole(repository, large, headers)
    # What comes one at a time is measured first: pulls over many connections leave records behind
    # that are still being counted, which would take a processor from what follows.
    rows = [row for connections in CONNECTIONS for row in _small_rows(setting, image, connections)]
    rows += _large_blob_rows(setting, large.digest)
    notes = [
        "c: connections, each with one request under way.",
        f"The manifest has {len(image.manifest):,} bytes.",
    ]
    return Section("Reads", "Roadstead", "docker-registry", rows, notes)


def _small_rows(setting: Setting, image: Image, connections: int) -> list[Row]:
    def compared(method: str, work: str, path: str, goal: float) -> Comparison:
        run = _reader(setting, method, path, connections)
        return Comparison(f"{method} {work}, c={connections}", "requests/s", run, goal)

    comparisons = [
        compared(method, f"manifest by {kind}", f"manifests/{reference}", MANIFEST_RATIO)
        for kind, reference in (("tag", "latest"), ("digest", image.digest))
        for method in ("GET", "HEAD")
    ]
    blob = f"blobs/{image.layer.digest}"
    comparisons.append(compared("GET", "blob of 1.5 KB", blob, SMALL_RATIO))
    # With one connection, nothing goes on while the machine pauses, so rounds differ more.
    rounds = setting.rounds * ROUNDS_FACTOR if connections == 1 else setting.rounds
    return setting.compare_together(comparisons, rounds)


def _reader(
    setting: Setting, method: str, path: str, connections: int
) -> Callable[[Server], Sample]:
    access = setting.access(REPOSITORY, PULL)

    def run(server: Server) -> Sample:
        headers, full = access[server.name], f"/v2/{server.repository(REPOSITORY)}/{path}"
        if method == "GET":
            return rate(setting.get(server, full, headers, connections))
        return rate(setting.send(server, method, full, headers, connections))

    return run


def _large_blob_rows(setting: Setting, digest: str) -> list[Row]:
    rows, access = [], setting.access(REPOSITORY, PULL)
    for connections in LARGE_CONNECTIONS:
        with ExitStack() as stack:
            # A client keeps its connections from layer to layer.
            clients = {
                server.name: stack.enter_context(Client(server.address, connections))
                for server in setting.servers
            }

            def run(server: Server, clients: Mapping[str, Client] = clients) -> Sample:
                path = f"/v2/{server.repository(REPOSITORY)}/blobs/{digest}"
                request = setting.request(server, "GET", path, access[server.name])
                load = clients[server.name].drive([request], setting.seconds)
                return Sample(load.received_bytes / load.seconds / 1e6, load.requests)

            work = f"GET blob of 100 MB, c={connections}"
            rounds = setting.rounds * ROUNDS_FACTOR
            rows.append(setting.compare(work, "MB/s", run, goal=LARGE_RATIO, rounds=rounds))
    return rows
