"""What the server wrote down, read from its database; and the clock, moved in its rows."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from core.config.sockets import sockets_of


class Records:
    """The database of a server that was started on a data directory."""

    def __init__(self, data_dir: Path) -> None:
        """Find the embedded PostgreSQL of the data directory."""
        self.address = sockets_of(data_dir).database_url

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())

    def value(self, query: str, *parameters: object) -> Any:
        """Return the one value of a query that gives one row."""
        (row,) = self.rows(query, *parameters)
        return row[0]

    def change(self, statement: str, *parameters: object) -> int:
        """Change rows and return how many."""
        with self._cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)

    def committed_uploads(self, repository: str) -> int:
        """Return how many uploads have ended as a blob of the repository, within an hour."""
        return len(self._committed(repository))

    def committed_digests(self, repository: str) -> set[str]:
        """Return the digests of the blobs that were uploaded to the repository by bytes."""
        return set(self._committed(repository))

    def linked_digests(self, repository: str) -> set[str]:
        """Return the digests of the blobs that the repository may serve."""
        rows = self.rows(
            "SELECT b.digest FROM artifacts_repositoryblob l"
            " JOIN artifacts_repository r ON r.id = l.repository_id"
            " JOIN blobs_blob b ON b.id = l.blob_id WHERE r.name = %s",
            repository,
        )
        return {f"sha256:{bytes(digest)[1:].hex()}" for (digest,) in rows}

    def audit_actions(self, project: str) -> Sequence[tuple[str, str, str, str]]:
        """Return action, outcome, actor and target of a project's audit entries, oldest first."""
        return [
            (action, outcome, actor, target)
            for action, outcome, actor, target in self.rows(
                "SELECT action, outcome, actor_label, target_label FROM audit_auditentry"
                " WHERE project_name = %s ORDER BY id",
                project,
            )
        ]

    def _committed(self, repository: str) -> list[str]:
        rows = self.rows(
            "SELECT committed_digest FROM blobs_upload"
            " WHERE repository_name = %s AND committed_digest IS NOT NULL",
            repository,
        )
        return [f"sha256:{bytes(digest)[1:].hex()}" for (digest,) in rows]

    @staticmethod
    def wait_until(is_so: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait for what is written with a short delay. AssertionError when it never is."""
        deadline = time.monotonic() + timeout
        while not is_so():
            assert time.monotonic() < deadline, "the server did not record it in time"
            time.sleep(0.05)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with (
            closing(psycopg2.connect(self.address, connect_timeout=10)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            yield cursor
