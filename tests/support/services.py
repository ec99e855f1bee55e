"""pytest plugin: a PostgreSQL and a Redis of their own for every test session.

They are started by the same code as those of `roadstead serve`. The plugin is named
in pyproject.toml, so that it is imported before Django's settings are: the addresses
follow from a directory that is chosen here. Workers of pytest-xdist inherit the
environment and share the services; pytest-django gives each a database of its own.
"""

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from core.config.embedded_postgresql import SUPERUSER, EmbeddedPostgreSQL
from core.config.embedded_redis import EmbeddedRedis
from core.config.sockets import DATABASE_ROLE, Sockets, sockets_of
from tests.support.new_directory import SESSION_VARIABLE

CLIENTS = ("skopeo", "podman", "buildah", "docker")
MARK = "roadstead-tests-"

_started: list[EmbeddedPostgreSQL | EmbeddedRedis] = []


def _prepare_environment() -> Path:
    """Point the settings at services below a temporary directory, once per session."""
    inherited = os.environ.get("ROADSTEAD_DATA_DIR", "")
    if os.environ.get("PYTEST_XDIST_WORKER") and Path(inherited).name.startswith(MARK):
        return Path(inherited)
    directory = Path(tempfile.mkdtemp(prefix=MARK))
    if "ROADSTEAD_TEST_S3_URL" in os.environ:
        # Not a setting of the product, which would refuse it; workers inherit the new name.
        os.environ["TEST_S3_URL"] = os.environ["ROADSTEAD_TEST_S3_URL"]
    for name in [name for name in os.environ if name.startswith("ROADSTEAD_")]:
        del os.environ[name]
    os.environ["ROADSTEAD_DATA_DIR"] = os.environ[SESSION_VARIABLE] = str(directory)
    os.environ["ROADSTEAD_SECRET_KEY"] = "a key that only tests use, long enough to be one"
    os.environ["ROADSTEAD_MINIMUM_FREE_BYTES"] = "0"
    return directory


DIRECTORY = _prepare_environment()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the services in the process that owns the session."""
    if os.environ.get("PYTEST_XDIST_WORKER") or session.config.option.collectonly:
        return
    sockets = sockets_of(DIRECTORY)
    for service in (
        EmbeddedPostgreSQL(DIRECTORY, sockets, durable=False),
        EmbeddedRedis(DIRECTORY, sockets),
    ):
        service.start()
        _started.append(service)
    for service in _started:
        service.wait_ready()
    _allow_emptying(sockets)


def _allow_emptying(sockets: Sockets) -> None:
    """Let the role of the tests delete without triggers, as only a superuser may otherwise."""
    with closing(
        psycopg2.connect(host=str(sockets.postgresql_directory), user=SUPERUSER, dbname="postgres")
    ) as superuser:
        superuser.autocommit = True
        superuser.cursor().execute(
            f"GRANT SET ON PARAMETER session_replication_role TO {DATABASE_ROLE}"
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Stop the services and remove their directory."""
    while _started:
        _started.pop().stop()
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        shutil.rmtree(DIRECTORY, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which registry clients are missing; their tests are the ones skipped."""
    missing = [client for client in CLIENTS if shutil.which(client) is None]
    if missing:
        terminalreporter.write_line(
            f"Registry clients not installed, tests with them skipped: {', '.join(missing)}"
        )
