"""Waits for PostgreSQL and Redis: short in requests, as long as it takes in migrations and runs."""

import socket
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from django.db import connection, transaction
from redis.exceptions import TimeoutError as RedisTimeout

from core.config import first_start, parts
from core.database import raw

pytestmark = pytest.mark.django_db


def bounds() -> list[str]:
    """Return how long a statement, and its wait for a lock, may take."""
    names = ("lock_timeout", "statement_timeout")
    return [str(row[0]) for name in names if (row := raw.fetch_one(f"SHOW {name}"))]


def test_statements_of_requests_are_bounded() -> None:
    assert bounds() == ["10s", "1min"]
    assert raw.fetch_one("SHOW idle_in_transaction_session_timeout") == ("1min",)
    assert raw.fetch_one("SHOW random_page_cost") == ("1.1",)
    assert raw.fetch_one("SHOW plan_cache_mode") == ("force_generic_plan",)
    assert raw.fetch_one("SHOW jit") == ("off",)


def test_migrations_are_not_bounded() -> None:
    with first_start._without_bounds():
        assert bounds() == ["0", "0"]
    assert bounds() == ["10s", "1min"]


@pytest.mark.django_db(transaction=True)
def test_migrations_let_others_through_while_they_wait_for_a_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump, tries = connection.copy(), []

    def migrate(_command: str, **_options: object) -> None:
        tries.append(bounds()[0])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE")

    def pause(_seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM projects_project")
        if len(tries) == 2:
            dump.close()

    monkeypatch.setattr(first_start, "call_command", migrate)
    monkeypatch.setattr(first_start.time, "sleep", pause)
    monkeypatch.setattr(first_start, "LOCK_WAIT", "100ms")
    try:
        with dump.cursor() as cursor, first_start._without_bounds():
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE projects_project IN ACCESS SHARE MODE")
            first_start._migrate()
    finally:
        dump.close()
    assert tries == ["100ms"] * 3


def test_runs_may_take_long_but_never_wait_long_for_a_lock() -> None:
    parts._allow_long_statements(connection)
    assert bounds() == ["10s", "0"]


@pytest.mark.parametrize("kind", ["redis", "unix"])
def test_a_redis_that_hangs_does_not_hold_a_thread(tmp_path: Path, kind: str) -> None:
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    with socket.socket(family) as silent:
        silent.bind(str(tmp_path / "s") if kind == "unix" else ("127.0.0.1", 0))
        silent.listen()
        path = silent.getsockname()
        url = f"unix://{path}" if kind == "unix" else f"redis://127.0.0.1:{path[1]}"
        cache = RedisCache(url, {"OPTIONS": settings.CACHES["default"]["OPTIONS"]})
        began = time.monotonic()
        with pytest.raises(RedisTimeout):
            cache.get("anything")
        cache._cache.get_client().connection_pool.disconnect()
    # Two attempts of two seconds; the rest is for a machine that has other things to do.
    assert time.monotonic() - began < 20
