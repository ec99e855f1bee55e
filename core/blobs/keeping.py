"""Keeping claims while their writers wait for the storage.

A writer renews its claim between two pieces of its bytes. While one call makes gigabytes
durable it cannot, and another would take the upload over just before it is complete.
"""

import os
import threading
from contextlib import AbstractContextManager
from types import TracebackType

import structlog
from django.db import DatabaseError, InterfaceError, connection

from core.blobs import claims
from core.blobs.errors import UploadTaken, UploadUnknown
from core.blobs.types import UploadClaim

log = structlog.get_logger(__name__)

# Well below the duration of a claim, so that a short hiccup does not cost it.
RENEW_AFTER_SECONDS = 5.0


class Keeper:
    """One thread for all waiting writers of a process, which exists while there are any.

    Whoever waits for less than a turn of it costs nothing but an entry in a table.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[_Waiting, bool] = {}
        self._thread: threading.Thread | None = None

    def keeping(self, claim: UploadClaim) -> AbstractContextManager[None]:
        """Renew the claim for as long as the block lasts, unless it is lost."""
        return _Waiting(self, claim)

    def enter(self, waiting: "_Waiting") -> None:
        """Begin to renew."""
        with self._guard:
            self._waiting[waiting] = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="claims", daemon=True)
                self._thread.start()

    def leave(self, waiting: "_Waiting") -> None:
        """Renew no longer."""
        with self._guard:
            self._waiting.pop(waiting, None)

    def forget(self) -> None:
        """Begin afresh in the child of a fork, which has neither the writers nor the thread."""
        self._guard = threading.Lock()
        self._waiting = {}
        self._thread = None

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(RENEW_AFTER_SECONDS)
            with self._guard:
                if not self._waiting:
                    self._thread = None
                    return
                # Those who came during this turn have claims that are fresh enough.
                due = [waiting.claim for waiting, is_due in self._waiting.items() if is_due]
                self._waiting = dict.fromkeys(self._waiting, True)
            _renew(due)


class _Waiting:
    """A writer that waits for its storage."""

    __slots__ = ("_keeper", "claim")

    def __init__(self, keeper: Keeper, claim: UploadClaim) -> None:
        self._keeper = keeper
        self.claim = claim

    def __enter__(self) -> None:
        self._keeper.enter(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keeper.leave(self)


def _renew(due: list[UploadClaim]) -> None:
    for claim in due:
        try:
            claims.renew(claim)
        except (UploadTaken, UploadUnknown):
            # Its writer will find out for itself.
            continue
        except (DatabaseError, InterfaceError):
            log.warning("upload_claim_not_renewed", upload_id=str(claim.id), exc_info=True)
            break
    if due:
        connection.close()


KEEPER = Keeper()
os.register_at_fork(after_in_child=KEEPER.forget)
