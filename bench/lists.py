"""Part "lists": pages of a repository with 50,000 tags and of a catalog of 20,000 repositories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.client import drive, fetch, request_bytes
from bench.content import ContentMaker, make_image
from bench.errors import BenchmarkFailed
from bench.measure import Sample, Side, alternate
from bench.pusher import Pusher
from bench.results import Better, Goal, Row, Section
from bench.seed import find_seeded, refresh_statistics, seed_repositories, seed_tags
from bench.servers import PULL, PULL_AND_PUSH, Roadstead
from bench.setting import Setting, milliseconds

TAGS = 50_000
REPOSITORIES = 20_000
PREFIX = "listed"
PAGE_SIZES = (100, 1_000)
MOST_MILLISECONDS = 5.0
LEAST_ENTRY_BYTES = 8


def measure_lists(setting: Setting) -> Section:
    """Measure single pages, one at a time, at the beginning and in the middle of a long list."""
    server = setting.roadstead
    repository = _seed(server)
    of_tags = server.headers(repository, PULL)
    of_everything = server.token_headers(server.administrator, "registry:catalog:*")
    rows = [_row(setting, page, of_tags) for page in _tag_pages(repository)]
    for who, headers in (("administrator", of_everything), ("robot", of_tags)):
        rows += [_row(setting, page, headers) for page in _catalog_pages(server, who)]
    notes = [
        f"{TAGS:,} tags in one repository; {REPOSITORIES:,} repositories in one private project.",
        "Nothing to compare with: docker-registry 2 answers all tags at once.",
    ]
    return Section("Lists", "Roadstead", "-", rows, notes)


@dataclass(frozen=True, slots=True)
class _Page:
    work: str
    path: str
    size: int


def _tag_pages(repository: str) -> Iterator[_Page]:
    path = f"/v2/{repository}/tags/list"
    for size in PAGE_SIZES:
        for place, last in (("first", ""), ("middle", f"build-{TAGS // 2:06d}")):
            work = f"Tags, {place} page of {size:,}"
            yield _Page(work, f"{path}?n={size}&last={last}", size)


def _catalog_pages(server: Roadstead, who: str) -> Iterator[_Page]:
    middle = server.repository(f"{PREFIX}-{REPOSITORIES // 2:06d}")
    for size in PAGE_SIZES:
        for place, last in (("first", ""), ("middle", middle)):
            work = f"Catalog for {who}, {place} page of {size:,}"
            yield _Page(work, f"/v2/_catalog?n={size}&last={last}", size)


def _seed(server: Roadstead) -> str:
    """Make the repositories and the tags; return the repository of the tags."""
    name = server.repository("shared")
    image = make_image(ContentMaker(1_500))
    with Pusher(server.address) as pusher:
        pusher.push_image(name, image, server.headers(name, PULL_AND_PUSH))
    with server.cursor() as cursor:
        seed_repositories(cursor, server.project, PREFIX, 1, REPOSITORIES, image.layer.digest)
        (repository,) = find_seeded(cursor, server.project, PREFIX, [1])
        seed_tags(cursor, repository.name, TAGS)
        refresh_statistics(cursor)
    return repository.name


def _row(setting: Setting, page: _Page, headers: Mapping[str, str]) -> Row:
    server = setting.roadstead
    request = request_bytes("GET", server.address, page.path, headers)
    if fetch(server.address, request).received_bytes < page.size * LEAST_ENTRY_BYTES:
        raise BenchmarkFailed(f"{page.work}: the page is shorter than asked for.")

    def run() -> Sample:
        return milliseconds(
            drive(server.address, [request], connections=1, seconds=setting.seconds / 2)
        )

    (measured,) = alternate([Side(server.pid, run)], setting.rounds)
    return Row(page.work, "ms/page", measured, goal=Goal(MOST_MILLISECONDS, Better.LOWER))
