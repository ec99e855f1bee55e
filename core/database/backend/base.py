"""The wrapper that Django loads for the engine ``core.database.backend``."""

from typing import Any

from django.db.backends.postgresql import base

from core.database.backend.connections import JoiningConnection, JoiningCursor


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL through connections that send BEGIN along with what follows it."""

    def get_connection_params(self) -> dict[str, Any]:
        """Return what psycopg2 connects with."""
        parameters: dict[str, Any] = super().get_connection_params()
        return parameters | {
            "connection_factory": JoiningConnection,
            "cursor_factory": JoiningCursor,
        }

    def _set_autocommit(self, autocommit: bool) -> None:
        with self.wrap_database_errors:
            self.connection.begins_transactions = not autocommit
