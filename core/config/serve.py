"""`roadstead serve`: the whole stack on one machine, started in order and stopped in order."""

import contextlib
import fcntl
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from core.config import data_directory, env
from core.config.embedded_postgresql import EmbeddedPostgreSQL
from core.config.embedded_redis import EmbeddedRedis
from core.config.env import Environment
from core.config.logging import configuration
from core.config.parts import UNREACHABLE
from core.config.supervisor import Part, Supervisor, Watched
from core.config.welcome import welcome

READY_TIMEOUT_SECONDS = 60.0
# After a crash the web processes of the earlier server need a moment to let go.
PORT_RELEASE_SECONDS = 15.0
COMMAND = (sys.executable, "-m", "core.config.cli")

_log = structlog.get_logger(__name__)


class ServeRefused(Exception):
    """The server cannot start or go on; the message says why and what to do."""


def serve(environment: Environment, *, reload: bool = False) -> int:
    """Run everything until told to stop; return the exit code.

    Raises ServeRefused, ConfigurationError, PostgreSQLFailed or RedisFailed.
    """
    configuration(environment.logging)
    data_dir = environment.server.data_dir
    with ExitStack() as stack:
        crashed = stack.enter_context(_sole_use(data_dir))
        env.secret_key(environment)
        listener = stack.enter_context(_listener(environment, patient=crashed))
        services = _start_services(environment, stack)
        password = _prepare()
        supervisor = Supervisor(_parts(listener, reload=reload), services)
        supervisor.listen()
        supervisor.start()
        stack.callback(supervisor.stop)
        reason = _wait_ready(environment, supervisor)
        if reason is None and not supervisor.is_stopping:
            _say(welcome(environment, password))
            reason = supervisor.watch()
        if reason is not None:
            raise ServeRefused(f"The server stops: {reason}. Its log lines above say more.")
        _say("\nStopping ...\n")
    _say("Stopped.\n")
    return 0


def _say(text: str) -> None:
    # Nobody may be listening any more; that is no reason to stop in another way.
    with contextlib.suppress(OSError):
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def _sole_use(data_dir: Path) -> Iterator[bool]:
    """Hold the data directory's lock; give True when the last server did not end in order.

    Raises ConfigurationError when the directory is not ours, and ServeRefused when another
    server holds it or it cannot be used.
    """
    data_directory.claim(data_dir)
    try:
        descriptor = os.open(data_dir / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ServeRefused(
            f"{data_dir} cannot be used ({error.strerror}): choose another directory with "
            "--data-dir."
        ) from error
    with os.fdopen(descriptor, "r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServeRefused(
                f"Another server (process {lock.read().strip()}) uses {data_dir}: stop it, or "
                "choose another directory with --data-dir."
            ) from None
        crashed = bool(lock.read())
        _write_over(lock, str(os.getpid()))
        try:
            yield crashed
        finally:
            _write_over(lock, "")


def _write_over(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


@contextmanager
def _listener(environment: Environment, *, patient: bool) -> Iterator[socket.socket]:
    """Bind the address before anything is started. Raises ServeRefused with a sentence."""
    host, port = environment.server.host, environment.server.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ServeRefused(
            f"{host!r} is not an address of this machine ({error.strerror}): correct --host."
        ) from None
    deadline = time.monotonic() + (PORT_RELEASE_SECONDS if patient else 0)
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                listener.bind(address)
                break
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                raise ServeRefused(
                    f"Port {port} of {host} cannot be used ({error.strerror}): stop the program "
                    "that holds it, or choose another with --port."
                ) from None
        yield listener


def _start_services(environment: Environment, stack: ExitStack) -> list[Watched]:
    """Start the embedded services that are asked for, both at once, and wait for them."""
    data_dir, sockets = environment.server.data_dir, environment.sockets
    services: list[EmbeddedPostgreSQL | EmbeddedRedis] = []
    if environment.database.embedded:
        services.append(EmbeddedPostgreSQL(data_dir, sockets))
    if environment.broker.embedded:
        services.append(EmbeddedRedis(data_dir, sockets))
    for service in services:
        stack.callback(service.stop)
        service.start()
    for service in services:
        service.wait_ready()
    return [*services]


def _prepare() -> str | None:
    """Migrate and set up in a process of its own; return the password that was made.

    Raises ServeRefused when that fails, also because Redis cannot be reached.
    """
    result = subprocess.run(
        [sys.executable, "-m", "core.config.first_start"],
        env=env.child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode == UNREACHABLE:
        raise ServeRefused(result.stdout)
    if result.returncode != 0:
        raise ServeRefused("The database could not be brought up to date: the lines above say why.")
    return result.stdout or None


def _parts(listener: socket.socket, *, reload: bool) -> list[Part]:
    environment = env.child_environment()
    descriptor = listener.fileno()
    web = [*COMMAND, "web", "--listen-on", str(descriptor), *(["--reload"] if reload else [])]
    return [
        Part("web", web, environment, inherited=(descriptor,)),
        # Celery greets and takes its leave on standard output; the log is on standard error.
        Part("worker", [*COMMAND, "worker"], environment, is_mute=True),
        Part("scheduler", [*COMMAND, "scheduler"], environment),
    ]


def _wait_ready(environment: Environment, supervisor: Supervisor) -> str | None:
    """Wait until /v2/ answers; return why it never will, else None."""
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not supervisor.is_stopping:
        if _answers(environment):
            return None
        reason = supervisor.failure()
        if reason is not None:
            return reason
        if time.monotonic() > deadline:
            return "the web processes do not answer"
        time.sleep(0.05)
    return None


def _answers(environment: Environment) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(  # noqa: S104  (compared, not bound)
        environment.server.host, environment.server.host
    )
    connection = http.client.HTTPConnection(host, environment.server.port, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    return False
