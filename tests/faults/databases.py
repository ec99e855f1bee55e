"""The database of a server, broken from outside: refused, ended, made read-only, cut off."""

import os
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil
import psycopg2
import psycopg2.extensions

from core.config.sockets import DATABASE, DATABASE_ROLE, sockets_of
from tests.support.server import RunningServer

_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE usename = %s AND pid <> pg_backend_pid()
"""


class Superuser:
    """The superuser of a server's embedded PostgreSQL."""

    def __init__(self, server: RunningServer) -> None:
        """Use the server's socket."""
        self._socket = sockets_of(server.data_dir).postgresql_directory

    def connect(self) -> psycopg2.extensions.connection:
        """Return a new session."""
        return psycopg2.connect(host=str(self._socket), user="postgres", dbname=DATABASE)

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, if it has any."""
        with closing(self.connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall()) if cursor.description else []

    def end_sessions(self) -> None:
        """End every session of the server's processes."""
        self.run(_END_SESSIONS, DATABASE_ROLE)

    @contextmanager
    def changed_role(self, change: str, undo: str) -> Iterator[None]:
        """Change what the server's role may do, for all its sessions; undo it at the end."""
        self.run(f"ALTER ROLE {DATABASE_ROLE} {change}")
        self.end_sessions()
        try:
            yield
        finally:
            self.run(f"ALTER ROLE {DATABASE_ROLE} {undo}")
            self.end_sessions()


def kill_database(server: RunningServer) -> None:
    """SIGKILL for every process of PostgreSQL at once; the supervisor starts it again.

    Raises ProcessLookupError when none runs.
    """
    family = [each for each in server.processes() if "postgres" in each.name()]
    if not family:
        raise ProcessLookupError
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def restart_database(server: RunningServer) -> None:
    """Let PostgreSQL shut down as an operator does, fast; the supervisor starts it again."""
    (postmaster,) = [
        each
        for each in server.processes()
        if "postgres" in each.name() and "postgres" not in _parent_name(each)
    ]
    postmaster.send_signal(signal.SIGINT)


def _parent_name(process: psutil.Process) -> str:
    parent = process.parent()
    return "" if parent is None else parent.name()


class CommitCutter:
    """Stands between a web process and PostgreSQL, and lets answers to COMMIT get lost.

    The commit itself happens: the client of the database cannot know, and must not guess.
    """

    def __init__(self, server: RunningServer) -> None:
        """Prepare to forward to the server's PostgreSQL."""
        self._target = f"{sockets_of(server.data_dir).postgresql_directory}/.s.PGSQL.5432"
        self._directory = tempfile.mkdtemp(prefix="roadstead-cut-")
        self._listener = socket.socket(socket.AF_UNIX)
        self._to_cut: bytes | None = None
        self.cut = 0

    @property
    def database_url(self) -> str:
        """Address for ROADSTEAD_DATABASE_URL."""
        return f"postgresql://{DATABASE_ROLE}@{quote(self._directory, safe='')}/{DATABASE}"

    def cut_next_commit(self, statement: bytes) -> None:
        """Let the answer get lost to the next commit of a transaction with this in a statement.

        The process commits other things beside, such as records of logins, whenever it likes.
        """
        self._to_cut = statement

    def __enter__(self) -> Self:
        self._listener.bind(f"{self._directory}/.s.PGSQL.5432")
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Without this the thread would go on waiting for a connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        Path(self._directory, ".s.PGSQL.5432").unlink()
        os.rmdir(self._directory)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        database = socket.socket(socket.AF_UNIX)
        with closing(client), closing(database), suppress(OSError):
            database.connect(self._target)
            transaction = b""
            while True:
                ready, _, _ = select.select([client, database], [], [])
                for source in ready:
                    data = source.recv(65_536)
                    if not data:
                        return
                    if source is client:
                        transaction += data
                    is_commit = source is client and b"COMMIT\0" in data
                    if is_commit and self._to_cut is not None and self._to_cut in transaction:
                        self._to_cut = None
                        self.cut += 1
                        database.sendall(data)
                        # Its answer means that the commit is done; nobody gets to see it.
                        database.recv(65_536)
                        return
                    if is_commit or (source is client and b"ROLLBACK" in data):
                        transaction = b""
                    (database if source is client else client).sendall(data)
