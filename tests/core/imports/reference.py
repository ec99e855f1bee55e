"""The reference registry: Debian's package `docker-registry`, on a directory of its own."""

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.clients.protocol import ConnectionLost, Registry
from tests.support.server import free_port

PROGRAM = "docker-registry"
_START_SECONDS = 20.0

_CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  delete: {{enabled: true}}
  filesystem: {{rootdirectory: {root}}}
http: {{addr: "127.0.0.1:{port}"}}
compatibility: {{schema1: {{enabled: true}}}}
"""


def is_installed() -> bool:
    """Say whether the program is there."""
    return shutil.which(PROGRAM) is not None


class ReferenceRegistry:
    """A running reference registry without authentication. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        """Take a directory for the configuration; the content lies in `root` below it."""
        self.root = directory / "registry"
        self._configuration = directory / "registry.yml"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def registry(self) -> Registry:
        """The registry as anybody sees it."""
        return Registry(f"127.0.0.1:{self._port}")

    def __enter__(self) -> Self:
        self._configuration.write_text(
            _CONFIGURATION.format(root=self.root, port=self._port), encoding="utf-8"
        )
        self._process = subprocess.Popen(
            [PROGRAM, "serve", str(self._configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "the reference registry ended"
            assert time.monotonic() < deadline, "the reference registry does not answer"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)

    def _answers(self) -> bool:
        try:
            return self.registry.request("GET", "/v2/").status == 200
        except ConnectionLost:
            return False
        except OSError:
            return False
