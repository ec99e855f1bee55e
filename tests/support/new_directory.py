"""A new data directory as its first start leaves it: made once for a session, then copied.

Making a PostgreSQL cluster and migrating it costs more than most tests of a server. What a server
needs on top, such as the directories of the storage, it makes itself at its own start.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from core.config import data_directory
from core.config.embedded_postgresql import EmbeddedPostgreSQL
from core.config.embedded_redis import EmbeddedRedis
from core.config.sockets import sockets_of

# The directory of the session, set by tests/support/services.py and inherited by its processes.
# Elsewhere, as in benchmarks, there is nothing to share, and every first start is a real one.
SESSION_VARIABLE = "TEST_SESSION_DIRECTORY"
KEPT = ("postgresql", "secret_key")


def fill(data_dir: Path, environment: Mapping[str, str]) -> None:
    """Put a copy of what a first start leaves into `data_dir`, unless something is there already.

    The first caller of a session makes it, with the settings of its `environment`: all must agree
    on the administrator's password. Outside of a session nothing is done.
    """
    if SESSION_VARIABLE not in os.environ or (data_dir.exists() and any(data_dir.iterdir())):
        return
    made = Path(os.environ[SESSION_VARIABLE]) / "new"
    with made.with_name("new.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(made.with_name("unfinished"), environment)
            made.with_name("unfinished").rename(made)
    data_directory.claim(data_dir)
    # PostgreSQL's files may belong to an account of its own.
    copies = [str(made / name) for name in KEPT]
    subprocess.run(["cp", "--archive", "--reflink=auto", *copies, str(data_dir)], check=True)


def _make(data_dir: Path, environment: Mapping[str, str]) -> None:
    """Do what `roadstead serve` does at its first start before it starts its parts."""
    shutil.rmtree(data_dir, ignore_errors=True)
    data_directory.claim(data_dir)
    sockets = sockets_of(data_dir)
    with ExitStack() as stack:
        services = (
            EmbeddedPostgreSQL(data_dir, sockets, durable=False),
            EmbeddedRedis(data_dir, sockets),
        )
        for service in services:
            stack.callback(service.stop)
            service.start()
        for service in services:
            service.wait_ready()
        subprocess.run(
            [sys.executable, "-m", "core.config.first_start"],
            cwd="/",
            env={**environment, "ROADSTEAD_DATA_DIR": str(data_dir)},
            stdin=subprocess.DEVNULL,
            check=True,
        )
