"""Gunicorn with its ASGI worker, run from Python with Roadstead's settings."""

import gc
import logging
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from core.config.env import Environment
from core.config.web_worker import Worker

# A process whose event loop is stuck is replaced after this time. There is no limit on how long
# a request takes.
STUCK_SECONDS = 300
GRACE_SECONDS = 25


class PlainLogger(Logger):  # type: ignore[misc]  # gunicorn has no type hints
    """Gunicorn's messages go where all others go; requests are logged by the applications."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers and levels to core.config.logging."""
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.setLevel(logging.WARNING)
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.disabled = True


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no type hints
    """One listening socket and the processes behind it."""

    def __init__(
        self, application: str, environment: Environment, *, bind: str, reload: bool = False
    ) -> None:
        """Prepare to serve the ASGI application at the dotted path `application`."""
        self._application = application
        self._environment = environment
        self._bind = bind
        self._reload = reload
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; its own files and variables are not looked at."""
        settings = {
            "bind": self._bind,
            "workers": self._environment.server.workers,
            "worker_class": Worker,
            "worker_connections": self._environment.server.connections,
            "asgi_loop": "uvloop",
            "preload_app": not self._reload,
            "reload": self._reload,
            "proc_name": "roadstead-web",
            "timeout": STUCK_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "backlog": 2048,
            "asgi_lifespan": "on",
            "control_socket_disable": True,
            "logger_class": PlainLogger,
            "pre_fork": _share_memory,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the ASGI application."""
        from gunicorn.util import import_app

        module, _, name = self._application.rpartition(".")
        return import_app(f"{module}:{name}")


def _share_memory(_arbiter: object, _worker: object) -> None:
    """Keep the collector from touching, and so copying, what all workers share."""
    gc.collect()
    gc.freeze()
