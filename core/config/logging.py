"""One log format for every process: structlog over the standard library.

Secrets never reach the log: values of keys that name a secret are masked, and so
is everything that has the shape of a Roadstead token, wherever it stands.
"""

import logging.config
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from core.config.env import LoggingSettings

MASK = "********"
SECRET_KEYS = re.compile(
    r"password|passwd|secret|token|authorization|cookie|credential|api_?key|private_?key",
    re.IGNORECASE,
)
# Identifiers and numbers about a token say nothing that has to be hidden.
HARMLESS_KEYS = re.compile(r"_(id|name|kind|count|seconds|at)$", re.IGNORECASE)
# A Roadstead secret, an Authorization value, or a JSON web token.
SECRET_VALUES = re.compile(
    r"rsd_[a-z]{2,8}_[0-9A-Za-z]+"
    r"|(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}"
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets in an event, by the name of the key and by the look of the value."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: object) -> object:
    if SECRET_KEYS.search(key) and not HARMLESS_KEYS.search(key) and value is not None:
        return MASK
    if isinstance(value, str):
        return SECRET_VALUES.sub(MASK, value)
    if isinstance(value, MutableMapping):
        return {name: _redacted(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def configuration(settings: LoggingSettings) -> None:
    """Configure structlog and the standard library's logging for this process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_standard_library(settings, shared))


def _standard_library(settings: LoggingSettings, shared: list[Processor]) -> dict[str, Any]:
    # Tracebacks become text before secrets are masked, and never show local variables.
    renderer: list[Processor] = [structlog.processors.format_exc_info, redact]
    if settings.format == "json":
        renderer.append(structlog.processors.JSONRenderer())
    else:
        renderer.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "roadstead": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *renderer,
                ],
            }
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "roadstead",
            }
        },
        "root": {"handlers": ["stderr"], "level": settings.level.upper()},
        "loggers": {
            # The registry application logs requests with actor and route; these
            # libraries would add one line per statement or connection.
            "django.db.backends": {"level": "INFO"},
            "django.request": {"level": "ERROR"},
            # A Host that cannot be one is answered 400; a traceback for it says nothing more.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "azure": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "asyncio": {"level": "WARNING"},
            # Runs log their own start and end.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            # A message that comes while the worker stops goes back, which nobody need hear of.
            "kombu.transport.virtual.base": {"level": "ERROR"},
        },
    }
