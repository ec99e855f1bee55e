"""The steps of an upload at which a server dies, and what each must leave behind."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.invariants import Store


class Request(StrEnum):
    """Which request of the upload reaches the step."""

    START = "POST"
    APPEND = "PATCH"
    FINISH = "PUT"


@dataclass(frozen=True, slots=True)
class Traces:
    """What a crash left of one upload."""

    recorded_bytes: int
    """Durable bytes as its row says."""
    is_committed: bool
    has_unfinished_file: bool
    has_object: bool
    has_blob_row: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A failpoint, the request that reaches it, and what it must leave."""

    name: str
    failpoint: str
    request: Request
    leaves: Callable[[Traces], bool]
    kills_all: bool = True
    """Whether the power fails at this step as well, not one process alone."""
    leaves_after_power: Callable[[Traces], bool] | None = None
    """What it leaves when the power fails, where that is something else."""
    visit: int = 1
    """At which visit of the failpoint it acts."""

    def armed(self, action: str) -> str:
        """Return the specification that lets the action happen here."""
        return f"{self.failpoint}={action}@{self.visit}"

    def __str__(self) -> str:
        """Return the name, for the ids of tests."""
        return self.name


FIRST_BYTES = 1_000_000
ALL_BYTES = 5_000_000


def traces(store: Store, upload_id: str | None) -> Traces:
    """Look at what is there of an upload, whose row may be gone."""
    if upload_id is None:
        return Traces(0, False, False, False, False)
    ((key, size, committed),) = store.records.rows(
        "SELECT storage_key, size_bytes, committed_digest IS NOT NULL"
        " FROM blobs_upload WHERE id = %s",
        upload_id,
    )
    blobs = store.records.value("SELECT count(*) FROM blobs_blob WHERE storage_key = %s", key)
    return Traces(
        recorded_bytes=size,
        is_committed=committed,
        has_unfinished_file=store.directory.unfinished_file(key).exists(),
        has_object=store.directory.object_file(key).exists(),
        has_blob_row=bool(blobs),
    )


def _only_row(left: Traces) -> bool:
    return left == Traces(0, False, False, False, False)


def _first_part(left: Traces) -> bool:
    return left == Traces(FIRST_BYTES, False, True, False, False)


def _all_unfinished(left: Traces) -> bool:
    return left == Traces(ALL_BYTES, False, True, False, False)


def _object_only(left: Traces) -> bool:
    return left == Traces(ALL_BYTES, False, False, True, False)


def _some_unfinished(left: Traces) -> bool:
    """The record of the chunk had not reached the disk, or it just had."""
    return _first_part(left) or _all_unfinished(left)


def _object_under_both_names(left: Traces) -> bool:
    """The folder that the file was renamed from is not synced."""
    return left == Traces(ALL_BYTES, False, True, True, False)


def _blob_under_both_names(left: Traces) -> bool:
    return left == Traces(ALL_BYTES, True, True, True, True)


def _blob(left: Traces) -> bool:
    return left == Traces(ALL_BYTES, True, False, True, True)


STEPS = (
    Step("row written", "upload.started", Request.START, _only_row),
    Step("middle of a chunk", "storage.write", Request.APPEND, _first_part, visit=2),
    Step("chunk not synced", "storage.sync", Request.APPEND, _first_part, kills_all=False),
    Step(
        "chunk recorded",
        "upload.checkpoint",
        Request.APPEND,
        _all_unfinished,
        leaves_after_power=_some_unfinished,
    ),
    Step("file synced", "storage.commit.synced", Request.FINISH, _all_unfinished, kills_all=False),
    Step(
        "file renamed",
        "storage.commit.renamed",
        Request.FINISH,
        _object_only,
        leaves_after_power=_all_unfinished,
    ),
    Step("folder synced", "storage.commit.done", Request.FINISH, _object_only, kills_all=False),
    Step(
        "before the transaction",
        "upload.commit.before_transaction",
        Request.FINISH,
        _object_only,
        leaves_after_power=_object_under_both_names,
    ),
    Step(
        "in the transaction",
        "upload.commit.in_transaction",
        Request.FINISH,
        _object_only,
        leaves_after_power=_object_under_both_names,
    ),
    Step(
        "committed, not answered",
        "upload.commit.after_transaction",
        Request.FINISH,
        _blob,
        leaves_after_power=_blob_under_both_names,
    ),
)
COMMITTED = STEPS[-1]
