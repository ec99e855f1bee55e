"""What each process of the product does, and how it loads what it needs.

Imports stand inside the functions here: a command that only shows the configuration,
or only watches other processes, must not carry Django, Celery and gunicorn in memory.
"""

import resource
import signal
import sys
import threading
import warnings
from typing import Any

from core.config import data_directory
from core.config.env import Environment, use_django_settings
from core.config.logging import configuration

# Exit code of core.config.first_start when the sentence on its standard output says why.
UNREACHABLE = 3


def load_django(environment: Environment) -> None:
    """Set Django up for this process. Raises ConfigurationError."""
    import django

    if environment.storage.directory.is_relative_to(environment.server.data_dir):
        data_directory.refuse_foreign(environment.server.data_dir)
    configuration(environment.logging)
    use_django_settings()
    django.setup()


def run_web(
    application: str, environment: Environment, listen_on: int | None, *, reload: bool
) -> None:
    """Serve an ASGI application until told to stop.

    `listen_on` is the number of a bound socket that the parent process opened.
    """
    from core.config.web_server import WebServer

    load_django(environment)
    if listen_on is None:
        # `roadstead serve`, which opened the other sockets, has said it already.
        from core.blobs.unconfigured import warn_of_unconfigured

        warn_of_unconfigured()
    _allow_open_files()
    server = environment.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    bind = f"{host}:{server.port}" if listen_on is None else f"fd://{listen_on}"
    WebServer(application, environment, bind=bind, reload=reload).run()


def _allow_open_files() -> None:
    """Use all the open files that the system allows: each connection and upload is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run_worker(environment: Environment, threads: int) -> None:
    """Carry out runs until told to stop; those in progress are finished first."""
    load_django(environment)
    from celery.exceptions import SecurityWarning
    from django.db.backends.signals import connection_created

    from jobservice.worker.app import app

    connection_created.connect(_allow_long_statements)
    # Celery fears code in messages from strangers; ours are JSON and carry one id.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        pool="threads",
        concurrency=threads,
        loglevel=environment.logging.level.upper(),
        # Workers learn of each other through PostgreSQL; chatting over Redis adds nothing.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    if worker.exitcode:
        raise SystemExit(worker.exitcode)


def _allow_long_statements(connection: Any, **_: object) -> None:
    """Nobody waits for a run as for a request: its statements take as long as they take."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def run_scheduler(environment: Environment) -> None:
    """Start what is due until told to stop."""
    load_django(environment)
    from jobservice.runs.scheduler import run_until

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    run_until(stop)


def database_fault(error: Exception, environment: Environment) -> str:
    """Return the sentence for a database that cannot be reached, and what to do about it."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if environment.database.embedded:
        advice = (
            f"start `roadstead serve --data-dir {environment.server.data_dir}`, name the directory "
            "of a server that runs with --data-dir, or set ROADSTEAD_DATABASE_URL"
        )
    else:
        advice = "start its server, or correct ROADSTEAD_DATABASE_URL"
    return f"The database cannot be reached ({reason}): {advice}."


def database_errors() -> tuple[type[Exception], ...]:
    """Return the errors that mean "no database", if Django was loaded at all."""
    if "django.db" not in sys.modules:
        return ()
    from django.db import OperationalError

    return (OperationalError,)
