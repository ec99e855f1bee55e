"""Reading settings: from memory where that is good enough, in the transaction where it is not."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core.common.clock import now
from core.configurations.services import update_settings
from core.rbac.types import Actor
from core.system_settings import queries
from core.system_settings.errors import SystemReadOnly
from core.system_settings.models import StoredSettings
from core.system_settings.types import DEFAULTS

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system()


def store(**changed: object) -> None:
    """Change settings behind the back of this process, as another process would."""
    StoredSettings.objects.update_or_create(
        pk=1, defaults={"changed": changed, "updated_at": now()}
    )


def test_a_process_reads_once_until_that_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert queries.remembered() == DEFAULTS
    assert not queries.is_recent()
    with CaptureQueriesContext(connection) as statements:
        assert [queries.current() for _ in range(5)] == [DEFAULTS] * 5
    assert len(statements) == 1
    assert queries.is_recent()
    store(banner_message="Hello", a_key_of_the_future=1)
    assert queries.current().banner_message == ""
    monkeypatch.setattr(queries, "FRESH_SECONDS", 0.0)
    assert not queries.is_recent()
    assert queries.remembered().banner_message == ""
    assert queries.current().banner_message == "Hello"
    assert queries.remembered().banner_message == "Hello"


def test_threads_that_ask_together_read_once() -> None:
    seen: list[bool] = []
    statements: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        def count(execute: Any, sql: str, *rest: Any) -> Any:
            statements.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(count):
            start.wait()
            seen.append(queries.current().read_only)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [False] * 8
    assert len(statements) == 1


def test_what_must_hold_at_once_is_read_in_the_transaction() -> None:
    assert queries.current().read_only is False
    store(read_only=True)
    with transaction.atomic():
        assert queries.share_locked().read_only
        with pytest.raises(SystemReadOnly):
            queries.ensure_writable_locked()
    with pytest.raises(RuntimeError):
        queries.share_locked()


def test_the_lifetime_of_tokens() -> None:
    assert queries.token_lifetime_seconds(may_read=False) == 900
    assert queries.token_lifetime_seconds() == 900
    update_settings({"token_expiration": 2}, actor=SYSTEM)
    assert queries.token_lifetime_seconds() == 120
    assert queries.token_lifetime_seconds(may_read=False) == 120


@pytest.mark.parametrize(
    ("pk", "changed"),
    [
        (2, {}),
        (1, {"skip_audit_log_database": True}),
        (1, {"skip_audit_log_database": True, "audit_log_forward_endpoint": ""}),
    ],
)
def test_the_database_itself_refuses(pk: int, changed: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        StoredSettings.objects.create(pk=pk, changed=changed, updated_at=now())
