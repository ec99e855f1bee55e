"""Audit entries on their way to a syslog server, over real sockets."""

import json
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import transaction

from core.audit import buffer, forwarding, services
from core.audit.forwarding import FORWARDER, Forwarder, syslog_message
from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.common.origin import Origin
from core.configurations.services import update_settings
from core.rbac.types import Actor
from core.system_settings.types import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = Actor.anonymous(Origin("192.0.2.7", "docker/29\n\x1b[1m", "request-1"))
HEADER = re.compile(
    rb"<(?P<priority>\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    rb" [!-~]+ roadstead \d+ (?P<id>[!-~]+) - "
)


def make_record(label: str = "library/app:1", **changes: object) -> AuditRecord:
    return AuditRecord("artifact.pulled", ACTOR, "artifact", label, **changes)  # type: ignore[arg-type]


def parsed(message: bytes) -> dict[str, object]:
    header = HEADER.match(message)
    assert header is not None, message
    members: dict[str, object] = json.loads(message[header.end() :])
    return {"priority": int(header["priority"]), **members}


class Receiver:
    """A syslog server that takes messages over TCP, each with its length in front."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(20)
        self.endpoint = Endpoint("tcp", "127.0.0.1", self.listening.getsockname()[1])
        self.connection: socket.socket | None = None

    def take(self) -> dict[str, object]:
        if self.connection is None:
            self.connection, _address = self.listening.accept()
            self.connection.settimeout(20)
        length = b""
        while not length.endswith(b" "):
            length += self.connection.recv(1)
        message = b""
        while len(message) < int(length):
            message += self.connection.recv(int(length) - len(message))
        return parsed(message)

    def hang_up(self) -> None:
        assert self.connection is not None
        # With a reset, so that the next message meets it.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.connection.close()
        self.connection = None

    def close(self) -> None:
        self.listening.close()
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    FORWARDER.close()
    made.close()


def forward_to(endpoint: Endpoint, **more: object) -> None:
    text = f"{endpoint.protocol}://{endpoint.host}:{endpoint.port}"
    update_settings({"audit_log_forward_endpoint": text, **more}, actor=Actor.system())


def test_messages_are_complete_and_on_one_line() -> None:
    success = syslog_message(make_record(detail={"digest": "sha256:1"}))
    assert parsed(success) == {
        "priority": 110,
        "action": "artifact.pulled",
        "outcome": "success",
        "actor_kind": "anonymous",
        "actor_id": None,
        "actor": "anonymous",
        "token_id": None,
        "address": "192.0.2.7",
        "user_agent": "docker/29\n\x1b[1m",
        "request_id": "request-1",
        "project_id": None,
        "project": "",
        "target_kind": "artifact",
        "target_id": "",
        "target": "library/app:1",
        "detail": {"digest": "sha256:1"},
    }
    assert all(32 <= byte < 127 for byte in success)
    assert parsed(syslog_message(make_record(outcome=Outcome.DENIED)))["priority"] == 108
    long = syslog_message(make_record("\u2028" * 2000, detail={"x": "y" * 100_000}))
    assert len(long) <= forwarding.MAXIMUM_MESSAGE_BYTES
    assert parsed(long)["detail"] == {"omitted": "too long"}


def test_what_is_committed_is_forwarded_and_nothing_else(receiver: Receiver) -> None:
    forward_to(receiver.endpoint)
    with transaction.atomic():
        services.record("tag.created", ACTOR, target_kind="tag", target_label="undone")
        transaction.set_rollback(True)
    with transaction.atomic():
        services.record("tag.created", ACTOR, target_kind="tag", target_label="done")
    buffer.record_buffered(make_record("buffered"))
    buffer.BUFFER.flush()
    assert [receiver.take()["target"] for _ in range(2)] == ["done", "buffered"]
    kept = AuditEntry.objects.exclude(target_kind="configuration").order_by("pk")
    assert [entry.target_label for entry in kept] == ["done", "buffered"]


def test_entries_are_forwarded_only_where_that_is_set(receiver: Receiver) -> None:
    forward_to(receiver.endpoint, skip_audit_log_database=True)
    before = AuditEntry.objects.count()
    with transaction.atomic():
        services.record("tag.created", ACTOR, target_kind="tag", target_label="tag")
    buffer.record_buffered(make_record())
    buffer.BUFFER.flush()
    assert [receiver.take()["action"] for _ in range(2)] == ["tag.created", "artifact.pulled"]
    assert AuditEntry.objects.count() == before == 1


def test_pulls_are_left_out_where_that_is_set() -> None:
    update_settings({"pull_audit_log_disable": True}, actor=Actor.system())
    buffer.record_buffered(make_record())
    buffer.record_buffered(AuditRecord("user.login", ACTOR, "user", "alice"))
    buffer.BUFFER.flush()
    assert AuditEntry.objects.filter(action="user.login").count() == 1
    assert not AuditEntry.objects.filter(action="artifact.pulled").exists()


def test_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        forwarder = Forwarder()
        forwarder.keep(Endpoint("udp", "127.0.0.1", server.getsockname()[1]), [make_record("one")])
        assert parsed(server.recv(65_536))["target"] == "one"
        forwarder.close()


def test_a_server_that_comes_back_gets_what_waited(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "RETRY_SECONDS", 0.01)
    forwarder = Forwarder()
    endpoint = receiver.endpoint
    forwarder.keep(endpoint, [make_record("1")])
    assert receiver.take()["target"] == "1"
    receiver.hang_up()
    # What the kernel took for a connection that is gone is lost; what follows is not.
    seen: list[object] = []

    def take_all() -> None:
        while "last" not in seen:
            seen.append(receiver.take()["target"])

    taking = threading.Thread(target=take_all)
    forwarder.keep(endpoint, [make_record("2")])
    forwarder.keep(endpoint, [make_record("3"), make_record("last")])
    taking.start()
    taking.join(20)
    forwarder.close()
    assert seen[-1] == "last"
    assert forwarder.dropped == 0


def test_a_server_that_is_away_costs_entries_and_never_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarding, "MAXIMUM_WAITING", 10)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    forwarder = Forwarder()
    forwarder.keep(Endpoint("tcp", "127.0.0.1", port), [make_record(str(n)) for n in range(25)])
    assert forwarder.dropped == 15
    forwarder.keep(Endpoint("tcp", "127.0.0.1", port), [make_record("more")])
    assert forwarder.dropped == 16
    forwarder.close()
    assert not [t for t in threading.enumerate() if t.name == "audit-forwarder" and t.is_alive()]
