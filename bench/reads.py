"""Part "reads": manifests by tag and digest, small and large blobs."""

from collections.abc import Callable

from bench.content import ContentMaker, Image, make_image
from bench.measure import Sample
from bench.pusher import Pusher
from bench.results import Row, Section
from bench.servers import PULL, PULL_AND_PUSH, Server
from bench.setting import Setting, rate

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
    rows = [
        *_manifest_rows(setting, image),
        *_small_blob_rows(setting, image.layer.digest),
        *_large_blob_rows(setting, large.digest),
    ]
    notes = [
        "c: connections, each with one request under way.",
        f"The manifest has {len(image.manifest):,} bytes.",
    ]
    return Section("Reads", "Roadstead", "docker-registry", rows, notes)


def _manifest_rows(setting: Setting, image: Image) -> list[Row]:
    rows = []
    for kind, reference in (("tag", "latest"), ("digest", image.digest)):
        path = f"manifests/{reference}"
        for method in ("GET", "HEAD"):
            for connections in CONNECTIONS:
                work = f"{method} manifest by {kind}, c={connections}"
                run = _reader(setting, method, path, connections)
                rounds = setting.rounds_of_small_requests(connections)
                rows.append(
                    setting.compare(work, "requests/s", run, goal=MANIFEST_RATIO, rounds=rounds)
                )
    return rows


def _small_blob_rows(setting: Setting, digest: str) -> list[Row]:
    rows = []
    for connections in CONNECTIONS:
        run = _reader(setting, "GET", f"blobs/{digest}", connections)
        work = f"GET blob of 1.5 KB, c={connections}"
        rounds = setting.rounds_of_small_requests(connections)
        rows.append(setting.compare(work, "requests/s", run, goal=SMALL_RATIO, rounds=rounds))
    return rows


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

        def run(server: Server, connections: int = connections) -> Sample:
            path = f"/v2/{server.repository(REPOSITORY)}/blobs/{digest}"
            load = setting.send(server, "GET", path, access[server.name], connections)
            return Sample(load.received_bytes / load.seconds / 1e6, load.requests)

        work = f"GET blob of 100 MB, c={connections}"
        rows.append(setting.compare(work, "MB/s", run, goal=LARGE_RATIO))
    return rows
