"""The one Celery task: carry out a run by its id.

This is the task base of every kind of work: it claims the run, binds it to the log, beats for
it, and records how it ended. A run that fails by a crash of its worker is taken back by the
sweeper; one that raises is failed at once, because repeating a bug helps nobody.
"""

import threading
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, connection

from jobservice.runs import rules, services
from jobservice.runs.errors import RunLost, RunStopped
from jobservice.runs.types import Claim, RunStatus
from jobservice.worker.app import TASK_NAME, app
from jobservice.worker.kinds import find_work

log = structlog.get_logger(__name__)


class ClaimedRun:
    """The context handed to the work of one claimed run."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    @property
    def arguments(self) -> dict[str, Any]:
        """The values the run was submitted with."""
        return self._claim.arguments

    def report(self, done: int, total: int | None = None, message: str = "") -> None:
        """Store progress. Raises ``RunStopped`` or ``RunLost``."""
        services.beat(self._claim, progress_done=done, progress_total=total, message=message)


@app.task(name=TASK_NAME)
def carry_out(*, run_id: str, **_later_versions: object) -> None:
    """Carry out the run if it is still pending. Unknown keywords are ignored."""
    connection.close_if_unusable_or_obsolete()
    claim = services.claim(UUID(run_id))
    if claim is None:
        return
    with structlog.contextvars.bound_contextvars(run_id=run_id, run_kind=claim.kind):
        _carry_out(claim)


def _carry_out(claim: Claim) -> None:
    work = find_work(claim.kind)
    if work is None:
        services.finish(claim, RunStatus.FAILED, message=f"This worker does not know {claim.kind}.")
        return
    stop_beating = _keep_beating(claim)
    try:
        result = work(ClaimedRun(claim))
    except RunStopped:
        services.finish(claim, RunStatus.STOPPED, message="Stopped on request.")
    except RunLost:
        log.warning("run_lost")
    except Exception as error:
        log.exception("run_failed")
        services.finish(claim, RunStatus.FAILED, message=f"{type(error).__name__}: {error}")
    else:
        services.finish(claim, RunStatus.SUCCEEDED, result=result)
    finally:
        stop_beating.set()


def _keep_beating(claim: Claim) -> threading.Event:
    """Beat from a thread of its own, for work that reports seldom."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(rules.HEARTBEAT_EVERY.total_seconds()):
            try:
                services.beat(claim)
            except RunLost:
                break
            except RunStopped:
                # The work learns of it at its next report; until then it is alive, and a
                # run that looked dead would be given to a second worker.
                continue
            except (DatabaseError, InterfaceError):
                log.warning("heartbeat_failed")
                connection.close()
        connection.close()

    threading.Thread(target=beat, name="run-heartbeat", daemon=True).start()
    return stop
