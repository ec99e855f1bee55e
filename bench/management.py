"""Part "management": pages of the management API over long lists."""

import statistics
from dataclasses import astuple

from bench.client import drive, request_bytes
from bench.content import ContentMaker, make_image
from bench.errors import BenchmarkFailed
from bench.management_lists import (
    KINDS,
    PAGE_SIZE,
    PREFIX,
    Page,
    PagedList,
    lists_of_administrator,
    lists_of_member,
)
from bench.management_seed import (
    CHILDREN,
    ConfigBlob,
    refresh_statistics,
    seed_audit,
    seed_images,
    seed_indexes,
    seed_projects,
)
from bench.measure import Sample, Side, alternate
from bench.pusher import Pusher
from bench.results import Better, Goal, Row, Section
from bench.seed import seed_repositories
from bench.servers import PULL_AND_PUSH, Login, Roadstead
from bench.setting import Setting
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry

TAGS = 50_000
REPOSITORIES = 20_000
PROJECTS = 5_000
AUDIT_ENTRIES = 1_000_000
MOST_MILLISECONDS = 100.0


def measure_management(setting: Setting) -> Section:
    """Measure the first, a middle and the last page of each list, one request at a time."""
    server = setting.roadstead
    member = _seed(server)
    lists = {
        server.administrator: (*lists_of_administrator(server.project),),
        member: (*lists_of_member(),),
    }
    rows = [
        _row(setting, page, login)
        for login, ones in lists.items()
        for each in ones
        for page in each.pages(_total(server, login, each))
    ]
    notes = [
        f"{TAGS:,} images with a tag each, and one without, in one repository; in another "
        f"{TAGS:,} indexes with a tag each, which list {CHILDREN} images each; "
        f"{REPOSITORIES:,} further repositories, "
        f"{PROJECTS:,} projects, {AUDIT_ENTRIES:,} audit entries.",
        f"Pages of {PAGE_SIZE} rows with exact totals. Each value is the median of the requests of "
        "a round; one connection, Basic auth.",
    ]
    return Section("Management API", "Roadstead", "-", rows, notes)


def _seed(server: Roadstead) -> Login:
    """Make all that is listed; return a member of the project."""
    management = Management(server.address, Account(*astuple(server.administrator)))
    member = management.create_member(server.project, "projectAdmin")
    image = make_image(ContentMaker(1_500))
    config = ConfigBlob(image.config.digest, image.config.size_bytes)
    names = [server.repository(kind) for kind in KINDS]
    with Pusher(server.address) as pusher:
        # The images get one without a tag: it takes longer where not all have one.
        for name, reference in zip(names, (image.digest, "latest"), strict=True):
            pusher.push_image(name, image, server.headers(name, PULL_AND_PUSH), reference)
    with server.cursor() as cursor:
        seed_projects(cursor, PREFIX, member.username, PROJECTS)
        seed_repositories(cursor, server.project, PREFIX, 1, REPOSITORIES, image.layer.digest)
        seed_images(cursor, names[0], config, TAGS)
        seed_indexes(cursor, names[1], config, TAGS)
        seed_audit(cursor, server.project, AUDIT_ENTRIES)
        refresh_statistics(cursor)
    return Login(member.username, member.secret)


def _total(server: Roadstead, login: Login, listed: PagedList) -> int:
    """Return how many rows the server says that there are. Raises BenchmarkFailed."""
    account = Account(login.username, login.secret)
    answer = Registry(server.address, account).request("GET", listed.path)
    if answer.status != 200:
        raise BenchmarkFailed(f"{listed.work}: {answer.status} {answer.body[:500]!r}")
    return int(answer.headers.get("x-total-count", "1"))


def _row(setting: Setting, page: Page, login: Login) -> Row:
    server = setting.roadstead
    request = request_bytes("GET", server.address, page.path, login.headers)

    def run() -> Sample:
        load = drive(server.address, [request], connections=1, seconds=setting.seconds / 2)
        return Sample(statistics.median(load.latencies) * 1_000, load.requests)

    (measured,) = alternate([Side(server.pid, run)], setting.rounds)
    return Row(page.work, "ms/page", measured, goal=Goal(MOST_MILLISECONDS, Better.LOWER))
