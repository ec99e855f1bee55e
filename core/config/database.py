"""Turning a PostgreSQL URL into Django's database entry."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A database machine that vanishes is noticed within a minute, in whatever state.
CONNECTION_BOUNDS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# One stuck session must not take the threads of all others with it.
STATEMENT_BOUNDS = (
    "-c lock_timeout=10s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
)

# Pages of lists are read from memory, or from disks that do not seek: so indexes are worth while.
# Compiling a statement takes longer than the longest of them.
# What is prepared, or is in a trigger, goes by key: one plan is right for all values. PostgreSQL
# would plan for each use what then seems to be cheaper, as with arrays of few elements.
PLANNING = "-c random_page_cost=1.1 -c jit=off -c plan_cache_mode=force_generic_plan"


def django_database(url: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a ``postgresql://`` URL.

    Query parameters (``sslmode=verify-full``, ``host=/run/postgresql``) go to libpq
    as they are, and win over the bounds set here. A connection is kept as long as it
    is healthy: reconnecting costs more than any query of a pull.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    options.setdefault("application_name", "roadstead")
    for name, value in CONNECTION_BOUNDS.items():
        options.setdefault(name, value)
    options["options"] = f"{STATEMENT_BOUNDS} {PLANNING} {options.get('options', '')}".rstrip()
    # urlsplit lowers the case of host names; the path of a socket keeps its case.
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host.rpartition(":")[0]
    return {
        "ENGINE": "core.database.backend",
        "NAME": unquote(parts.path.lstrip("/")) or "roadstead",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(host).strip("[]"),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
