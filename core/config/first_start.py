"""Bringing the database up to date, and what a new installation needs.

Several processes may do this at once, as replicas in a cluster do when they start:
an advisory lock in PostgreSQL lets them through one after the other.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import django
import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string
from psycopg2.errors import LockNotAvailable
from redis import Redis, RedisError

from core.common.errors import DomainError, ErrorKind
from core.config.env import BrokerSettings, Environment, use_django_settings
from core.config.parts import UNREACHABLE, database_fault
from core.config.reader import masked_url

ADMINISTRATOR = "admin"
# Any number will do, as long as nothing else in this database locks it.
ADVISORY_LOCK = 7_461_726
LOCK_WAIT = "2s"
"""How long a migration waits for a lock before it lets others through."""
LOCK_PAUSE_SECONDS = 5.0

ENSURE_SIGNING_KEY = "core.authn.services.ensure_signing_key"
ENSURE_ADMINISTRATOR = "core.users.services.ensure_administrator"
ENSURE_LIBRARY_PROJECT = "core.projects.services.ensure_library_project"
STORAGE_DRIVER = "core.storage.selection.default_driver"
FORGET_WRITERS = "core.blobs.services.forget_writers"
WARN_OF_UNCONFIGURED = "core.blobs.unconfigured.warn_of_unconfigured"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done; the password is set only when an administrator was made just now."""

    migrations: int
    new_password: str | None


def prepare() -> Prepared:
    """Apply migrations that are missing, then make what a new installation lacks.

    Raises django.db.OperationalError when the database cannot be reached.
    """
    with _without_bounds(), _one_at_a_time():
        pending = len(pending_migrations())
        if pending:
            _migrate()
        import_string(ENSURE_SIGNING_KEY)()
        password: str | None = import_string(ENSURE_ADMINISTRATOR)(
            settings.ROADSTEAD.auth.administrator_password
        )
        import_string(ENSURE_LIBRARY_PROJECT)()
    return Prepared(migrations=pending, new_password=password)


def _migrate() -> None:
    """Apply migrations; each waits a moment for its locks, again and again.

    Whoever waits for a table of its own holds up everybody who comes after it. Behind a dump, that
    would be all pulls for as long as the dump takes.
    """
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_WAIT])
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            _log.warning("migration_waits_for_a_lock", retry_after_seconds=LOCK_PAUSE_SECONDS)
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def pending_migrations() -> list[str]:
    """Return the names of the migrations that the database lacks."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


@contextmanager
def _without_bounds() -> Iterator[None]:
    """Let migrations take as long as they take, and wait for another's as long as that takes."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout; RESET statement_timeout")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])


def _redis_fault(broker: BrokerSettings) -> str | None:
    """Return why Redis cannot be reached, None when it answers.

    Without Redis everything but runs works, so its loss ends nothing; but an address that is
    wrong from the start is a mistake that somebody should hear of.
    """
    client = Redis.from_url(broker.client_url, socket_connect_timeout=5, socket_timeout=5)
    try:
        client.ping()
    except RedisError as error:
        return (
            f"Redis at {masked_url(broker.client_url)} cannot be reached "
            f"({str(error).rstrip('.')}): start its server, or correct ROADSTEAD_REDIS_URL."
        )
    finally:
        client.close()
    return None


def _storage_fault() -> str | None:
    """Return why content cannot be stored, None when a trial went well.

    Only pushes need it, but the first push is late to hear of a mistake. A full disk is none: what
    is there is still pulled, and deleting makes room.
    """
    try:
        import_string(STORAGE_DRIVER)().check()
    except DomainError as error:
        return None if error.kind is ErrorKind.STORAGE_FULL else str(error)
    return None


def _database_fault(environment: Environment) -> str | None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        return database_fault(error, environment)
    return None


def main() -> int:
    """Prepare for `roadstead serve` and return the exit code.

    The one line on standard output is the new password, or why something cannot be used.
    """
    use_django_settings()
    django.setup()
    environment: Environment = settings.ROADSTEAD
    fault = _redis_fault(environment.broker) or _database_fault(environment) or _storage_fault()
    if fault is not None:
        sys.stdout.write(fault)
        return UNREACHABLE
    sys.stdout.write(prepare().new_password or "")
    if environment.database.embedded:
        # The server is alone with its database: who held an upload ended with the last one.
        import_string(FORGET_WRITERS)()
    import_string(WARN_OF_UNCONFIGURED)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
