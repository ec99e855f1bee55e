"""The lists of the management API that are measured, and at which places."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

BASE = "/api/v2.0"
PAGE_SIZE = 100
PREFIX = "managed"
"""What the names of seeded projects and repositories begin with."""

KINDS = ("images", "indexes")
"""The repositories with many artifacts, by what they hold."""

FIRST, MIDDLE = ("first",), ("middle",)
EVERYWHERE = ("first", "middle", "last")


@dataclass(frozen=True, slots=True)
class Page:
    """One request, and what tables call it."""

    work: str
    path: str


@dataclass(frozen=True, slots=True)
class PagedList:
    """A list that is asked for pages at these places, or for all it has at none."""

    work: str
    path: str
    places: tuple[str, ...] = EVERYWHERE

    def pages(self, total: int) -> Iterator[Page]:
        """Yield the pages of a list with so many rows."""
        if not self.places:
            yield Page(self.work, self.path)
            return
        last = max(1, -(-total // PAGE_SIZE))
        numbers = {"first": 1, "middle": (last + 1) // 2, "last": last}
        mark = "&" if "?" in self.path else "?"
        for place in self.places:
            path = f"{self.path}{mark}page_size={PAGE_SIZE}&page={numbers[place]}"
            yield Page(f"{self.work}, {place} page", path)


def lists_of_administrator(project: str) -> Iterator[PagedList]:
    """Yield what an administrator looks at; the repositories of ``KINDS`` are in the project."""
    path = f"{BASE}/projects/{project}"
    for kind in KINDS:
        yield from _artifacts(f"{path}/repositories/{kind}/artifacts", kind)
    yield PagedList("Artifacts of the project", f"{path}/artifacts")
    yield from _repositories(f"{BASE}/repositories", "Repositories")
    yield from _repositories(f"{path}/repositories", "Repositories of the project")
    yield from _projects("Projects")
    yield PagedList("Quotas, fullest first", f"{BASE}/quotas?sort=-used.storage", FIRST)
    yield from _audit(f"{BASE}/auditlog-exts", "Audit")
    yield from _audit(f"{path}/auditlog-exts", "Audit of the project")
    yield PagedList("Search, a word that all have", f"{BASE}/search?q={PREFIX}", ())
    yield PagedList("Search, a rare word", f"{BASE}/search?q=0199", ())
    yield PagedList("Statistics", f"{BASE}/statistics", ())
    yield PagedList("Storage of the registry", f"{BASE}/storage?top=100", ())
    yield PagedList("Storage of the project", f"{path}/storage?top=100", ())
    yield PagedList("Summary of the project", f"{path}/summary", ())


def lists_of_member() -> Iterator[PagedList]:
    """Yield what somebody looks at who sees a part of everything."""
    yield PagedList("Repositories, for a member", f"{BASE}/repositories")
    yield PagedList("Projects, for a member", f"{BASE}/projects")
    yield PagedList("Audit, for a member", f"{BASE}/auditlog-exts")
    yield PagedList("Search, for a member", f"{BASE}/search?q={PREFIX}", ())


def _artifacts(path: str, kind: str) -> Iterator[PagedList]:
    work = f"Artifacts, {kind}"
    yield PagedList(work, path)
    yield PagedList(f"{work}, tags=*", _filtered(path, "tags=*"))
    yield PagedList(f"{work}, tags=~99", _filtered(path, "tags=~99"), FIRST)
    yield PagedList(f"{work}, tags=nil", _filtered(path, "tags=nil"), FIRST)
    yield PagedList(f"{work}, type=IMAGE", _filtered(path, "type=IMAGE"), MIDDLE)
    yield PagedList(f"{work}, oldest first", f"{path}?sort=push_time", MIDDLE)
    yield PagedList(f"{work}, largest first", f"{path}?sort=-size", MIDDLE)


def _repositories(path: str, work: str) -> Iterator[PagedList]:
    yield PagedList(work, path)
    yield PagedList(f"{work}, name=~0199", _filtered(path, "name=~0199"), FIRST)
    yield PagedList(f"{work}, last changed first", f"{path}?sort=-update_time", MIDDLE)


def _projects(work: str) -> Iterator[PagedList]:
    path = f"{BASE}/projects"
    yield PagedList(work, path)
    yield PagedList(f"{work}, name=~0199", _filtered(path, "name=~0199"), FIRST)
    yield PagedList(f"{work}, last changed first", f"{path}?sort=-update_time", MIDDLE)


def _audit(path: str, work: str) -> Iterator[PagedList]:
    yield PagedList(work, path)
    for query in ("username=person-7", "operation=pull", "operation=delete"):
        yield PagedList(f"{work}, {query}", _filtered(path, query), MIDDLE)
    yield PagedList(f"{work}, resource=~build-777", _filtered(path, "resource=~build-777"), FIRST)
    yield PagedList(f"{work}, oldest first", f"{path}?sort=op_time", MIDDLE)


def _filtered(path: str, query: str) -> str:
    return f"{path}?q={quote(query)}"
