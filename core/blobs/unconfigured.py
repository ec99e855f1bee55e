"""Storages that rows name and the configuration lacks, and what to do about it.

Mostly only a name was lost or changed, and the objects are where they were: in a storage that
is configured under another name. Looking there for a few of them tells, since no two objects
ever have the same key.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import structlog
from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

from core.audit import services as audit
from core.blobs.errors import StoreNotRenamed
from core.blobs.queries import StoreUsage, list_usage
from core.blobs.verification import KnownBlob, list_blobs
from core.common.errors import DomainError
from core.common.text import counted
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.storage.selection import current_store, driver_of, forget_drivers, former_store

log = structlog.get_logger(__name__)

PATIENCE_MILLISECONDS: Final = 3_000
SAMPLE: Final = 20
"""How many blobs of a storage are looked for elsewhere."""

_CURRENT_NAME: Final = "ROADSTEAD_STORAGE_NAME"
_FORMER_NAME: Final = "ROADSTEAD_FORMER_STORAGE_NAME"


class UnconfiguredStore(NamedTuple):
    """A storage by the name that rows have for it.

    ``holder`` is the name of the configured storage that has its objects, None when none has;
    ``is_mixed``: other rows call that one as it is configured.
    """

    store: str
    blobs: int
    holder: str | None
    is_mixed: bool

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.is_mixed:
            return f"run `roadstead storage rename {self.store} {self.holder}`"
        variable = _CURRENT_NAME if self.holder == current_store() else _FORMER_NAME
        return f"set {variable}={self.store}"

    def sentence(self) -> str:
        """Say what is wrong, what it means and what to do."""
        blobs = counted(self.blobs, "blob is", "blobs are")
        begin = f"{blobs} in a storage called {self.store}, which is not configured"
        if self.holder is None:
            return (
                f"{begin}, and cannot be pulled: {self.remedy} with "
                "ROADSTEAD_FORMER_STORAGE_DIR or ROADSTEAD_FORMER_STORAGE_URL, and start again."
            )
        restart = "" if self.is_mixed else ", and start again"
        return (
            f"{begin}, but the objects lie in the one that is configured as {self.holder}: "
            f"{self.remedy}{restart}."
        )


def list_unconfigured() -> list[UnconfiguredStore]:
    """Return the storages that blobs are in by their rows and that are not configured."""
    return _unconfigured(list_usage())


def rename_store(store: str, name: str, *, actor: Actor) -> int:
    """Let rows call a storage as it is configured; return how many blobs that concerns.

    Raises StoreNotRenamed unless its objects are in the configured storage of that name.
    """
    if not any(found.store == store and found.holder == name for found in list_unconfigured()):
        raise StoreNotRenamed
    return _rename_store(store, name, actor=actor)


@durable_write
def _rename_store(store: str, name: str, *, actor: Actor) -> int:
    raw.execute("SET LOCAL statement_timeout = 0")
    for table in ("blobs_upload", "blobs_condemnedobject"):
        raw.execute(f"UPDATE {table} SET store = %s WHERE store = %s", (name, store))  # noqa: S608
    renamed = raw.execute("UPDATE blobs_blob SET store = %s WHERE store = %s", (name, store))
    audit.record(
        "blobs.storage.renamed",
        actor,
        target_kind="storage",
        target_label=name,
        detail={"from": store, "blobs": renamed},
    )
    return renamed


def warn_of_unconfigured() -> None:
    """Log a sentence for each of them; for the start of a server.

    Says nothing without a database, whose absence others report, and gives up when there are so
    many rows that counting them would hold up the start. The process may fork afterwards.
    """
    try:
        with transaction.atomic():
            raw.execute("SET LOCAL statement_timeout = %s", (PATIENCE_MILLISECONDS,))
            usages = list_usage()
        for found in _unconfigured(usages):
            log.warning(
                "storage_not_configured",
                store=found.store,
                blobs=found.blobs,
                advice=found.sentence(),
            )
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            log.info("storage_names_not_checked", advice="`roadstead storage status` shows them.")
    except DatabaseError:
        # The tables are still to be made.
        return
    finally:
        connection.close()
        forget_drivers()


def _unconfigured(usages: Iterable[StoreUsage]) -> list[UnconfiguredStore]:
    blobs = {usage.store: usage.blobs for usage in usages}
    found = []
    for store, number in blobs.items():
        if number and store not in _configured():
            holder = _holder(store)
            found.append(UnconfiguredStore(store, number, holder, bool(blobs.get(holder or ""))))
    return found


def _configured() -> list[str]:
    return [store for store in (current_store(), former_store()) if store]


def _holder(store: str) -> str | None:
    for blob in list_blobs(0, SAMPLE, store=store):
        for candidate in _configured():
            if _has(candidate, blob):
                return candidate
    return None


def _has(store: str, blob: KnownBlob) -> bool:
    try:
        return driver_of(store).stat(blob.storage_key) == blob.size_bytes
    except DomainError:
        # It cannot be asked now, so it does not tell.
        return False
