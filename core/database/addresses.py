"""The parameters of Django's connection, as asyncpg takes them.

Both kinds of connection must reach the same server in the same way. Django's go through libpq;
asyncpg has an implementation of its own, so that each parameter of libpq is either passed on,
carried out here, or refused by name.
"""

import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

_AS_THEY_ARE: Final = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "passfile": "passfile",
    "service": "service",
    "target_session_attrs": "target_session_attrs",
    "krbsrvname": "krbsrvname",
    "gsslib": "gsslib",
}
# These are understood in an address only.
_ENCRYPTION: Final = frozenset(
    {
        "sslmode",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
    }
)
_SERVER_SETTINGS: Final = frozenset({"application_name", "options"})
_SOCKET_OPTIONS: Final = {
    "keepalives": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "keepalives_idle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "keepalives_interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "keepalives_count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "tcp_user_timeout": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
}
# What makes no difference here, unless it insists on something that asyncpg cannot do.
_WITHOUT_EFFECT: Final[Mapping[str, frozenset[str] | None]] = {
    "client_encoding": frozenset({"UTF8", "utf8", "UTF-8", "utf-8", "auto"}),
    "fallback_application_name": None,
    "sslcompression": None,
    "gssencmode": frozenset({"disable", "prefer"}),
    "channel_binding": frozenset({"disable", "prefer"}),
    # Of Django's connection: how it makes cursors.
    "cursor_factory": None,
}
_KNOWN: Final = (
    frozenset(_AS_THEY_ARE)
    | _ENCRYPTION
    | _SERVER_SETTINGS
    | frozenset(_SOCKET_OPTIONS)
    | {"connect_timeout"}
)


def unusable_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """Return the names of those parameters of libpq that asyncpg cannot honour."""
    return sorted(name for name, value in parameters.items() if not _is_usable(name, value))


def arguments_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``asyncpg.connect`` for parameters that it can honour."""
    arguments = {
        argument: parameters[name]
        for name, argument in _AS_THEY_ARE.items()
        if parameters.get(name) not in (None, "")
    }
    if "host" in arguments:
        arguments["host"] = str(arguments["host"]).split(",")
    if "port" in arguments:
        arguments["port"] = [int(port or 5432) for port in str(arguments["port"]).split(",")]
    encryption = {name: parameters[name] for name in _ENCRYPTION & parameters.keys()}
    if encryption:
        arguments["dsn"] = f"postgresql://?{urlencode(sorted(encryption.items()))}"
    arguments["server_settings"] = {
        name: str(parameters[name]) for name in _SERVER_SETTINGS & parameters.keys()
    }
    return arguments


def set_socket_options(connection: socket.socket, parameters: Mapping[str, Any]) -> None:
    """Have a lost server noticed as libpq would; nothing to do for a socket of this machine."""
    if connection.family == socket.AF_UNIX:
        return
    for name, (level, option) in _SOCKET_OPTIONS.items():
        value = int(parameters.get(name, 0))
        # To libpq, 0 is what the system does by itself; but for whether to look at all.
        if value > 0 or (name == "keepalives" and name in parameters):
            connection.setsockopt(level, option, value)


def _is_usable(name: str, value: Any) -> bool:
    if name in _KNOWN:
        return True
    if name not in _WITHOUT_EFFECT:
        return False
    harmless = _WITHOUT_EFFECT[name]
    return harmless is None or value in harmless
