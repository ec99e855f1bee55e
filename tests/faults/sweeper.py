"""The housekeeping of uploads, at once: `python -m tests.faults.sweeper` beside a server.

Prints how many uploads and how many files without a row were removed, as JSON.
"""

import json
import subprocess
import sys
from datetime import timedelta

import django
import psycopg2

from tests.clients.records import Records
from tests.support.server import REPOSITORY_ROOT, RunningServer

_EXPIRE = """
UPDATE blobs_upload
   SET expires_at = clock_timestamp() - interval '1 second',
       locked_until = least(locked_until, clock_timestamp() - interval '1 second')
"""

_EXPIRE_ABANDONED = """
UPDATE blobs_upload SET expires_at = clock_timestamp()
 WHERE updated_at < clock_timestamp() - interval '20 seconds'
   AND expires_at > clock_timestamp() AND lock_token IS NULL
"""


def sweep_everything(server: RunningServer) -> dict[str, int]:
    """Let a week pass for every upload, then sweep; return what was removed."""
    Records(server.data_dir).change(_EXPIRE)
    done = _sweep(server)
    assert done.returncode == 0, done.stderr
    removed: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return removed


def sweep_beside_pushes(server: RunningServer) -> bool:
    """End uploads that nobody has continued for a while, and sweep, while others push.

    False when the sweep could not be done, as while the database is away.
    """
    try:
        Records(server.data_dir).change(_EXPIRE_ABANDONED)
    except psycopg2.Error:
        return False
    return _sweep(server).returncode == 0


def _sweep(server: RunningServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.sweeper"],
        env=server.environment(),
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def main() -> None:
    """Sweep with the settings of the environment."""
    # The order is that of every process of the product: settings first, then the features.
    from core.config.env import use_django_settings

    use_django_settings()
    django.setup()
    from core.blobs.services import sweep_condemned, sweep_strays, sweep_uploads
    from core.common.clock import now

    uploads = sweep_uploads(now())
    sweep_condemned()
    strays = sweep_strays(now(), older_than=timedelta(0))
    sys.stdout.write(json.dumps({"uploads": uploads, "strays": strays}) + "\n")


if __name__ == "__main__":
    main()
