"""Database addresses, sockets of embedded services, and clients behind proxies."""

import ipaddress
from pathlib import Path

import pytest

from core.config.database import django_database
from core.config.forwarding import client_and_scheme
from core.config.sockets import POSTGRESQL_SOCKET, SOCKET_PATH_LIMIT_BYTES, sockets_of

pytestmark = pytest.mark.pure

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def test_a_database_url_with_everything() -> None:
    entry = django_database(
        "postgresql://us%40er:p%2Fw@db.example.org:5433/na%20me?sslmode=require"
    )
    assert entry["USER"] == "us@er"
    assert entry["PASSWORD"] == "p/w"
    assert entry["HOST"] == "db.example.org"
    assert entry["PORT"] == "5433"
    assert entry["NAME"] == "na me"
    assert entry["OPTIONS"]["sslmode"] == "require"
    assert entry["CONN_MAX_AGE"] is None
    assert entry["CONN_HEALTH_CHECKS"] is True


def test_a_lost_or_stuck_database_is_noticed() -> None:
    options = django_database("postgresql://host/name")["OPTIONS"]
    assert int(options["connect_timeout"]) <= 10
    unanswered = int(options["keepalives_interval"]) * int(options["keepalives_count"])
    assert int(options["keepalives_idle"]) + unanswered <= 60
    assert int(options["tcp_user_timeout"]) <= 30_000
    for bound in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        assert f"-c {bound}=" in options["options"]


def test_the_operators_bounds_win() -> None:
    options = django_database(
        "postgresql://host/name?connect_timeout=3&options=-c%20statement_timeout%3D5min"
    )["OPTIONS"]
    assert options["connect_timeout"] == "3"
    assert options["options"].endswith("=force_generic_plan -c statement_timeout=5min")


def test_a_database_url_of_a_socket_keeps_the_case_of_its_path() -> None:
    sockets = sockets_of(Path("/srv/Data Dir/R"))
    assert django_database(sockets.database_url)["HOST"] == "/srv/Data Dir/R/run/pg"


def test_a_host_parameter_wins() -> None:
    assert django_database("postgresql:///name?host=/run/postgresql")["HOST"] == "/run/postgresql"


def test_an_ipv6_host() -> None:
    assert django_database("postgresql://[fd00::1]:5432/name")["HOST"] == "fd00::1"


@pytest.mark.parametrize("length", [20, 80, 90, 200])
def test_sockets_always_fit(length: int) -> None:
    data_dir = Path("/" + "d" * length)
    sockets = sockets_of(data_dir)
    assert len(str(sockets.postgresql_directory / POSTGRESQL_SOCKET)) <= SOCKET_PATH_LIMIT_BYTES
    assert sockets.directory.is_relative_to(data_dir) == (length <= 80)
    assert sockets_of(data_dir) == sockets


def test_long_data_directories_have_different_sockets() -> None:
    assert sockets_of(Path("/" + "a" * 200)) != sockets_of(Path("/" + "b" * 200))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("198.51.100.1", [b"203.0.113.9"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"192.0.2.66, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"192.0.2.66, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"192.0.2.66", b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"10.1.1.1"], "10.1.1.1"),
        ("::ffff:10.0.0.1", [b"2001:db8::1"], "2001:db8::1"),
        ("fd00::5", [b"203.0.113.9"], "203.0.113.9"),
        (None, [b"203.0.113.9"], None),
    ],
)
def test_who_the_client_is(
    peer: str | None, forwarded_for: list[bytes], client: str | None
) -> None:
    headers = [(b"x-forwarded-for", value) for value in forwarded_for]
    assert client_and_scheme(peer, "http", headers, TRUSTED) == (client, "http")


@pytest.mark.parametrize(
    ("peer", "claimed", "scheme"),
    [
        ("10.0.0.1", b"https", "https"),
        ("10.0.0.1", b"HTTPS", "https"),
        ("10.0.0.1", b"gopher", "http"),
        ("198.51.100.1", b"https", "http"),
    ],
)
def test_which_scheme_the_client_used(peer: str, claimed: bytes, scheme: str) -> None:
    assert client_and_scheme(peer, "http", [(b"x-forwarded-proto", claimed)], TRUSTED)[1] == scheme


def test_nobody_is_believed_by_default() -> None:
    assert client_and_scheme("127.0.0.1", "http", [(b"x-forwarded-for", b"1.2.3.4")], ()) == (
        "127.0.0.1",
        "http",
    )
