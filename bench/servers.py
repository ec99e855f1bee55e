"""The two registries under test: started, described and stopped the same way."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psycopg2
import psycopg2.extensions

from bench.errors import BenchmarkFailed
from core.config.sockets import sockets_of
from tests.clients.management import Management, Robot
from tests.clients.protocol import Account, ConnectionLost, Registry
from tests.support.server import ADMINISTRATOR, PASSWORD, RunningServer, free_port

PULL = ("pull",)
PULL_AND_PUSH = ("pull", "push")
START_SECONDS = 20.0


class Server(Protocol):
    """A registry that load is put on."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def address(self) -> str:
        """Host and port."""

    @property
    def pid(self) -> int:
        """The process that all its others descend from."""

    @property
    def storage(self) -> Path:
        """Directory of its blobs."""

    def repository(self, path: str) -> str:
        """Return the full name of a repository of its project for the benchmark."""

    def headers(self, repository: str, actions: Sequence[str]) -> dict[str, str]:
        """Return the headers that give a client these rights in a repository."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who may ask for tokens, and where."""

    username: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """Header for HTTP Basic."""
        return {"Authorization": Account(self.username, self.secret).authorization}


class Roadstead:
    """`roadstead serve` as it comes: two web processes, a private project, a robot, the audit."""

    name = "Roadstead"

    def __init__(self) -> None:
        self._server = RunningServer(log_level="warning")
        self._robot: Robot | None = None
        self._developer: Account | None = None
        self._project = ""

    def start(self) -> None:
        """Start it and make the project. Raises AssertionError with what it printed."""
        self._server.start()
        management = Management(self.address, Account(ADMINISTRATOR, PASSWORD))
        self._project = management.create_project()
        self._robot = management.create_robot(self._project, "pull", "push", "delete")
        self._developer = management.create_member(self._project, "developer")

    def stop(self) -> None:
        """Stop it and remove its data."""
        try:
            self._server.stop()
        finally:
            self._server.remove()

    @property
    def address(self) -> str:
        """Host and port."""
        return self._server.registry

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        return self._server.pid

    @property
    def storage(self) -> Path:
        """Directory of the blobs."""
        return self._server.data_dir / "storage"

    @property
    def project(self) -> str:
        """Name of the private project that the robot belongs to."""
        return self._project

    @property
    def robot(self) -> Login:
        """The robot whose tokens all requests carry."""
        if self._robot is None:
            raise BenchmarkFailed("The server has not been started.")
        return Login(self._robot.account.username, self._robot.account.secret)

    @property
    def developer(self) -> Login:
        """Somebody with a password and a role in the project."""
        if self._developer is None:
            raise BenchmarkFailed("The server has not been started.")
        return Login(self._developer.username, self._developer.secret)

    @property
    def administrator(self) -> Login:
        """Somebody with a password who may do everything."""
        return Login(ADMINISTRATOR, PASSWORD)

    def repository(self, path: str) -> str:
        """Return the full name of a repository of the project."""
        return f"{self._project}/{path}"

    def headers(self, repository: str, actions: Sequence[str]) -> dict[str, str]:
        """Return the header with a registry token of the robot. Raises BenchmarkFailed."""
        return self.token_headers(self.robot, f"repository:{repository}:{','.join(actions)}")

    def token_headers(self, login: Login, scope: str) -> dict[str, str]:
        """Return the header with a registry token for a scope. Raises BenchmarkFailed."""
        account = Account(login.username, login.secret)
        answer = Registry(self.address, account).request("GET", self.token_path(scope))
        if answer.status != 200:
            raise BenchmarkFailed(f"No token for {scope}: {answer.status} {answer.body!r}")
        return {"Authorization": f"Bearer {json.loads(answer.body)['token']}"}

    def token_path(self, scope: str) -> str:
        """Return path and query of a request for a token."""
        return f"/service/token?service={quote(self.address)}&scope={quote(scope)}"

    @contextmanager
    def cursor(self) -> Iterator[psycopg2.extensions.cursor]:
        """Open the database of the running server; every statement is its own transaction."""
        url = sockets_of(self._server.data_dir).database_url
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            yield cursor


class Reference:
    """Debian's `docker-registry`: no authentication, no access log, descriptors in memory.

    Everything is set in its favour; only deletes are on, as they are in Roadstead.
    """

    name = "docker-registry"

    def __init__(self, program: str) -> None:
        self._program = program
        self._directory = Path(tempfile.mkdtemp(prefix="roadstead-bench-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises BenchmarkFailed."""
        configuration = self._directory / "config.yml"
        configuration.write_text(self._configuration(), encoding="utf-8")
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", str(configuration)],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self._directory / "log").read_text(encoding="utf-8", errors="replace")
                raise BenchmarkFailed(f"{self._program} does not start:\n{text}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return Registry(self.address).request("GET", "/v2/", timeout=2).status == 200
        except (ConnectionLost, TimeoutError):
            return False

    def _configuration(self) -> str:
        settings = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "cache": {"blobdescriptor": "inmemory"},
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }
        # Every JSON document is a YAML document too.
        return json.dumps(settings)

    def stop(self) -> None:
        """Stop it and remove its data."""
        try:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                try:
                    self._process.wait(10)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its only process."""
        if self._process is None:
            raise BenchmarkFailed("The server has not been started.")
        return self._process.pid

    @property
    def storage(self) -> Path:
        """Directory of the blobs."""
        return self._directory / "storage"

    def repository(self, path: str) -> str:
        """Return the name of a repository."""
        return f"bench/{path}"

    def headers(self, repository: str, actions: Sequence[str]) -> dict[str, str]:
        """Return nothing: it asks nobody who they are."""
        return {}


def find_reference() -> str | None:
    """Return the path of docker-registry, None when it is not installed."""
    return shutil.which("docker-registry")


def reference_version(program: str) -> str:
    """Return how docker-registry calls itself."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    # It begins with the path that it was called by.
    return f"docker-registry {' '.join(shown.stdout.split()[1:])}"
