"""Every parameter of Django's connection is passed on, carried out, or refused by name."""

import socket

import pytest

from core.config.database import django_database
from core.database.addresses import arguments_of, set_socket_options, unusable_parameters

pytestmark = pytest.mark.pure


def test_what_the_product_sets_by_itself_is_usable() -> None:
    assert unusable_parameters(django_database("postgresql://host/name")["OPTIONS"]) == []


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"sslmode": "verify-full", "sslrootcert": "/ca.pem", "service": "x"}, []),
        ({"channel_binding": "prefer", "gssencmode": "disable", "client_encoding": "UTF8"}, []),
        ({"channel_binding": "require"}, ["channel_binding"]),
        ({"gssencmode": "require", "client_encoding": "LATIN1"}, ["client_encoding", "gssencmode"]),
        (
            {"hostaddr": "10.0.0.1", "load_balance_hosts": "random"},
            ["hostaddr", "load_balance_hosts"],
        ),
    ],
)
def test_what_cannot_be_honoured_is_named(parameters: dict[str, str], refused: list[str]) -> None:
    assert unusable_parameters(parameters) == refused


def test_arguments() -> None:
    parameters = {
        "host": "a,/run/pg",
        "port": "5433,",
        "user": "u",
        "password": "p&?",
        "dbname": "d",
        "sslmode": "verify-full",
        "sslrootcert": "/c a.pem",
        "application_name": "roadstead",
        "options": "-c lock_timeout=1s",
        "connect_timeout": "3",
        "keepalives": "1",
    }
    assert arguments_of(parameters) == {
        "host": ["a", "/run/pg"],
        "port": [5433, 5432],
        "user": "u",
        "password": "p&?",
        "database": "d",
        "dsn": "postgresql://?sslmode=verify-full&sslrootcert=%2Fc+a.pem",
        "server_settings": {
            "application_name": "roadstead",
            "options": "-c lock_timeout=1s",
        },
    }


def test_a_lost_server_is_noticed_as_soon_as_by_libpq() -> None:
    options = django_database("postgresql://host/name")["OPTIONS"]
    with socket.socket() as connection:
        set_socket_options(connection, options)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    with socket.socket() as connection:
        before = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        set_socket_options(connection, {**options, "keepalives": "0", "keepalives_idle": "0"})
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == before
        assert not connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    with socket.socket(socket.AF_UNIX) as connection:
        set_socket_options(connection, options)
