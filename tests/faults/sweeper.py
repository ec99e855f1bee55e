"""The housekeeping of uploads, at once: `python -m tests.faults.sweeper` beside a server.

For each line of its input it sweeps, and prints as JSON how many uploads and how many files without
a row were removed, and how many were not because they are too many. It ends with its input.
"""

import json
import subprocess
import sys
from datetime import timedelta
from types import TracebackType
from typing import Self, cast

import django
import psycopg2

from tests.clients.records import Records
from tests.support.server import REPOSITORY_ROOT, RunningServer

ABANDONED_SECONDS = 20.0

_ANSWER = "removed: "

_EXPIRE = """
UPDATE blobs_upload
   SET expires_at = clock_timestamp() - interval '1 second',
       locked_until = least(locked_until, clock_timestamp() - interval '1 second')
"""

_EXPIRE_ABANDONED = """
UPDATE blobs_upload SET expires_at = clock_timestamp()
 WHERE updated_at < clock_timestamp() - %s * interval '1 second'
   AND expires_at > clock_timestamp() AND lock_token IS NULL
"""
_WITHOUT_GRACE = "UPDATE blobs_condemnedobject SET kept_until = clock_timestamp()"


class Sweeper:
    """A process that sweeps beside one server whenever it is asked to.

    It holds no connection between two sweeps: the server may die and come back meanwhile.
    """

    def __init__(self, server: RunningServer) -> None:
        """Take the server, which must run when it is swept beside."""
        self._server = server
        self._process: subprocess.Popen[str] | None = None

    def sweep_everything(self) -> dict[str, int]:
        """Let a week pass for every upload, then sweep; return what was removed."""
        Records(self._server.data_dir).change(_EXPIRE)
        return self._sweep()

    def sweep_beside_pushes(self, *, abandoned_seconds: float) -> dict[str, int]:
        """End uploads that nobody has continued for so long, and sweep; return what was removed.

        Objects that no blob stands on any more go at once, not a day later.
        """
        records = Records(self._server.data_dir)
        records.change(_EXPIRE_ABANDONED, abandoned_seconds)
        records.change(_WITHOUT_GRACE)
        return self._sweep()

    def _sweep(self) -> dict[str, int]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("sweep\n")
        process.stdin.flush()
        for line in process.stdout:
            # Beside the answer there may be lines of the log.
            if line.startswith(_ANSWER):
                removed: dict[str, int] = json.loads(line.removeprefix(_ANSWER))
                return removed
        raise AssertionError(f"the sweep failed, exit code {process.wait(60)}; see above for why")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.sweeper"],
                env=self._server.environment(),
                cwd=REPOSITORY_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate(timeout=60)


def sweep_everything(server: RunningServer) -> dict[str, int]:
    """Let a week pass for every upload, then sweep; return what was removed."""
    with Sweeper(server) as sweeper:
        return sweeper.sweep_everything()


def sweep_beside_pushes(server: RunningServer) -> bool:
    """End uploads that nobody has continued for a while, and sweep, while others push.

    False when the sweep could not be done, as while the database is away.
    """
    with Sweeper(server) as sweeper:
        try:
            sweeper.sweep_beside_pushes(abandoned_seconds=ABANDONED_SECONDS)
        except (psycopg2.Error, OSError, AssertionError):
            return False
    return True


def main() -> None:
    """Sweep with the settings of the environment, as often as a line comes."""
    # The order is that of every process of the product: settings first, then the features.
    from core.config.env import use_django_settings

    use_django_settings()
    django.setup()
    from django.db import connection

    from core.blobs.errors import TooManyStrays
    from core.blobs.services import sweep_condemned, sweep_strays, sweep_uploads
    from core.common.clock import now

    for _line in sys.stdin:
        uploads = sweep_uploads(now())
        sweep_condemned()
        done = {"uploads": uploads, "strays": 0, "refused": 0}
        try:
            done["strays"] = sweep_strays(now(), older_than=timedelta(0))
        except TooManyStrays as refusal:
            done["refused"] = cast("dict[str, int]", refusal.detail)["strays"]
        connection.close()
        removed = json.dumps(done)
        sys.stdout.write(f"{_ANSWER}{removed}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
