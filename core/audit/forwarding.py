"""Sending audit entries to a syslog server (RFC 5424), where the settings name one.

Each process keeps the entries in a bounded queue that a thread of its own empties. Nobody ever
waits for it: when the server is away or too slow, the queue fills, and what finds no room in it
is dropped and counted.
"""

import atexit
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import structlog

from core.audit.types import AuditRecord, Outcome
from core.system_settings.types import Endpoint

log = structlog.get_logger(__name__)

MAXIMUM_WAITING: Final = 10_000
MAXIMUM_MESSAGE_BYTES: Final = 8_192
"""Servers must take 2,048 (RFC 5424, section 6.1); a longer message loses its details."""
TIMEOUT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0

_LOG_AUDIT: Final = 13
_INFORMATIONAL, _WARNING = 6, 4

Message = tuple[Endpoint, bytes]


class Forwarder:
    """What waits to be sent, and the thread that sends it."""

    def __init__(self) -> None:
        self._guard = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._connection: tuple[Endpoint, socket.socket] | None = None
        self.dropped = 0

    def keep(self, endpoint: Endpoint, records: Sequence[AuditRecord]) -> None:
        """Queue entries for a server. Does not wait; without room they are dropped and counted."""
        messages = [(endpoint, syslog_message(record)) for record in records]
        with self._guard:
            room = max(0, MAXIMUM_WAITING - len(self._waiting))
            self._waiting.extend(messages[:room])
            self.dropped += len(messages[room:])
            if self._thread is None or not self._thread.is_alive():
                self._is_closing = False
                self._thread = threading.Thread(
                    target=self._run, name="audit-forwarder", daemon=True
                )
                self._thread.start()
            self._guard.notify()

    def close(self) -> None:
        """Send what can be sent within ``CLOSE_SECONDS`` and end the thread."""
        with self._guard:
            self._is_closing = True
            self._guard.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def after_fork(self) -> None:
        """Forget what is the parent's."""
        self.__init__()  # type: ignore[misc]  # everything of it is new in a child

    def _run(self) -> None:
        pause, reported = RETRY_SECONDS, self.dropped
        while (message := self._next()) is not None:
            try:
                self._send(*message)
            except OSError as error:
                self._hang_up()
                log.warning("audit_forwarding_failed", error=str(error), waiting=len(self._waiting))
                if self._pause(pause):
                    break
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                continue
            pause = RETRY_SECONDS
            with self._guard:
                self._waiting.popleft()
            if self.dropped != reported:
                log.error("audit_entries_dropped", count=self.dropped - reported)
                reported = self.dropped
        self._hang_up()

    def _next(self) -> Message | None:
        """Wait for the message that is next; None when it is time to end."""
        with self._guard:
            self._guard.wait_for(lambda: self._waiting or self._is_closing)
            return self._waiting[0] if self._waiting else None

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt, and tell whether it is time to end instead."""
        with self._guard:
            return self._guard.wait_for(lambda: self._is_closing, seconds)

    def _send(self, endpoint: Endpoint, message: bytes) -> None:
        connected = self._connection
        if connected is None or connected[0] != endpoint:
            self._hang_up()
            connected = self._connection = (endpoint, _connect(endpoint))
        if endpoint.protocol == "tcp":
            # Each message says its length (RFC 6587, section 3.4.1).
            connected[1].sendall(b"%d %s" % (len(message), message))
        else:
            connected[1].send(message)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def syslog_message(record: AuditRecord) -> bytes:
    """Return an entry as a syslog message whose text is a JSON object."""
    severity = _INFORMATIONAL if record.outcome is Outcome.SUCCESS else _WARNING
    header = (
        f"<{8 * _LOG_AUDIT + severity}>1 {record.recorded_at.isoformat(timespec='microseconds')}"
        f" {_host_name()} roadstead {os.getpid()} {record.action[:32]} - "
    ).replace("+00:00", "Z")
    members = _members(record)
    message = header.encode() + _json(members)
    if len(message) > MAXIMUM_MESSAGE_BYTES:
        members["detail"] = {"omitted": "too long"}
        message = header.encode() + _json(members)
    return message


def _members(record: AuditRecord) -> dict[str, Any]:
    actor, origin = record.actor, record.actor.origin
    return {
        "action": record.action,
        "outcome": record.outcome,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor": actor.label[:512],
        "token_id": actor.token_id,
        "address": origin.address,
        "user_agent": origin.user_agent[:512],
        "request_id": origin.request_id[:64],
        "project_id": record.project_id,
        "project": record.project_name,
        "target_kind": record.target_kind,
        "target_id": record.target_id,
        "target": record.target_label[:1024],
        "detail": record.detail,
    }


def _json(members: dict[str, Any]) -> bytes:
    # ASCII only: what a client chose cannot break a line or a terminal of the log's readers.
    return json.dumps(members, separators=(",", ":"), default=str).encode()


def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.protocol == "tcp":
        return socket.create_connection((endpoint.host, endpoint.port), TIMEOUT_SECONDS)
    [(family, kind, protocol, _name, address), *_others] = socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_DGRAM
    )
    connection = socket.socket(family, kind, protocol)
    connection.settimeout(TIMEOUT_SECONDS)
    connection.connect(address)
    return connection


@cache
def _host_name() -> str:
    """Return the name of this machine as a header may hold it (RFC 5424, section 6.2.4)."""
    name = "".join(character for character in socket.gethostname() if "!" <= character <= "~")
    return name[:255] or "-"


FORWARDER: Final = Forwarder()
atexit.register(FORWARDER.close)
os.register_at_fork(after_in_child=FORWARDER.after_fork)
