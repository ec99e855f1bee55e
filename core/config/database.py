"""Turning a PostgreSQL URL into Django's database entry."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def django_database(url: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a ``postgresql://`` URL.

    Query parameters (``sslmode=verify-full``, ``host=/run/postgresql``) go to libpq
    as they are. A connection is kept as long as it is healthy: reconnecting costs
    more than any query of a pull.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    options.setdefault("application_name", "roadstead")
    options.setdefault("connect_timeout", "10")
    # urlsplit lowers the case of host names; the path of a socket keeps its case.
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host.rpartition(":")[0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "roadstead",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(host).strip("[]"),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
