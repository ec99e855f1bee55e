"""The environment of one Roadstead process, read once and checked.

Every setting is a variable named ``ROADSTEAD_*``; a secret may also come from a
file named by the same variable with ``_FILE`` behind it. This is the only module
of the product that looks at ``os.environ``. A variable that is unknown, or whose
value cannot be used, becomes one sentence that says what to do; all of them are
reported together, so nobody repairs a configuration one start at a time.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from core.config import data_directory
from core.config.database import django_database
from core.config.reader import MASK, ConfigurationError, Network, Reader, Setting, stored_secret
from core.config.sockets import DATABASE_CONNECTIONS, Sockets, sockets_of
from core.config.storage import StorageSettings, read_storage
from core.database.addresses import unusable_parameters

__all__ = ["ConfigurationError", "Environment", "child_environment", "current", "load", "override"]

PREFIX = "ROADSTEAD_"
DAY_SECONDS = 86_400
# Database connections of a web process beside those of its pools: pulls, audit and health.
CONNECTIONS_BESIDE_THREADS = 6
# For the worker, the scheduler, and commands beside them.
CONNECTIONS_BESIDE_WEB = 20


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and keeps its files."""

    data_dir: Path
    host: str
    port: int
    external_url: str | None
    """Address clients use, without a trailing slash; None: taken from each request."""
    workers: int
    """Number of web processes."""
    registry_threads: int
    """Threads per web process for registry database look-ups."""
    management_threads: int
    """Threads per web process for the management API and the web pages."""
    connections: int
    """Connections of clients per web process; more are refused."""
    trusted_proxies: tuple[Network, ...]
    """Peers whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    secret_key: str
    """Empty: the one kept in the data directory; see `secret_key`."""
    debug: bool
    failpoints: str
    """Places where tests make the process die; see core.common.failpoints."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How PostgreSQL is reached."""

    url: str
    embedded: bool
    """True when `roadstead serve` starts PostgreSQL itself."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How Redis is reached."""

    url: str
    """Address in the form that Celery understands."""
    client_url: str
    """The same address in the form that redis.Redis.from_url understands."""
    embedded: bool
    """True when `roadstead serve` starts Redis itself."""


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Identity and tokens."""

    administrator_password: str | None
    """Password of the first administrator; None: a random one is made and shown once."""
    token_lifetime_seconds: int
    robot_name_prefix: str


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds on what is kept and accepted."""

    upload_lifetime_seconds: int
    """An upload that nobody continued for this long is removed."""
    accepts_missing_blobs: bool
    trash_days: int
    """How long what is deleted can be restored, unless a project says otherwise."""
    usage_days: int
    """How long the pulls of a day stay known by tag and client."""


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """How the log is written."""

    level: str
    format: str
    """"console" or "json"."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Every setting of a process, checked."""

    server: ServerSettings
    database: DatabaseSettings
    broker: BrokerSettings
    storage: StorageSettings
    auth: AuthSettings
    limits: LimitSettings
    logging: LoggingSettings
    sockets: Sockets
    shown: tuple[Setting, ...]
    """Name, printable value, origin and meaning of each variable, in order."""


def load(environ: Mapping[str, str]) -> Environment:
    """Read and check the settings in `environ`.

    Raises ConfigurationError with one sentence per fault.
    """
    reader = Reader(environ, PREFIX)
    server = _server(reader)
    sockets = sockets_of(server.data_dir)
    environment = Environment(
        server=server,
        database=_database(reader, sockets),
        broker=_broker(reader, sockets),
        storage=read_storage(reader, server.data_dir),
        auth=_auth(reader),
        limits=_limits(reader),
        logging=_logging(reader),
        sockets=sockets,
        shown=reader.shown(),
    )
    _refuse_too_many_threads(reader, environment)
    reader.refuse_unknown()
    reader.raise_faults()
    return environment


def _refuse_too_many_threads(reader: Reader, environment: Environment) -> None:
    """Each thread keeps a connection; the embedded database has so many and no more."""
    server = environment.server
    # Look-ups, content and commits have as many threads each; logins a quarter of that.
    registry = 3 * server.registry_threads + max(2, server.registry_threads // 4)
    threads = registry + server.management_threads + CONNECTIONS_BESIDE_THREADS
    needed = server.workers * threads + CONNECTIONS_BESIDE_WEB
    if environment.database.embedded and needed > DATABASE_CONNECTIONS:
        reader.refuse(
            f"{server.workers} web processes with these threads need {needed} database "
            f"connections, and the embedded PostgreSQL has {DATABASE_CONNECTIONS}: lower "
            f"{PREFIX}WORKERS, {PREFIX}REGISTRY_THREADS or {PREFIX}MANAGEMENT_THREADS, or set "
            f"{PREFIX}DATABASE_URL."
        )


def _server(reader: Reader) -> ServerSettings:
    data_dir = reader.path(
        "DATA_DIR",
        default=Path("data"),
        meaning="Directory that holds the content, the secret key and the embedded services.",
    )
    return ServerSettings(
        data_dir=data_dir,
        host=reader.text("HOST", default="127.0.0.1", meaning="Address to listen on."),
        port=reader.integer(
            "PORT", default=5000, minimum=1, maximum=65_535, meaning="Port to listen on."
        ),
        external_url=reader.web_address(
            "EXTERNAL_URL",
            meaning="Address that clients use, such as https://registry.example.org.",
        ),
        workers=reader.integer(
            "WORKERS", default=2, minimum=1, maximum=256, meaning="Number of web processes."
        ),
        registry_threads=reader.integer(
            "REGISTRY_THREADS",
            default=8,
            minimum=1,
            maximum=256,
            meaning="Threads per web process for registry look-ups.",
        ),
        management_threads=reader.integer(
            "MANAGEMENT_THREADS",
            default=4,
            minimum=1,
            maximum=256,
            meaning="Threads per web process for the management API and the web pages.",
        ),
        connections=reader.integer(
            "CONNECTIONS",
            default=1000,
            minimum=10,
            maximum=100_000,
            meaning="Connections of clients per web process; more are refused with 503.",
        ),
        trusted_proxies=reader.networks(
            "TRUSTED_PROXIES",
            meaning="Comma-separated networks whose X-Forwarded-* headers are believed.",
        ),
        secret_key=reader.secret(
            "SECRET_KEY",
            minimum_length=32,
            meaning="Key that signs sessions; made once in the data directory when unset.",
        )
        or "",
        debug=reader.boolean(
            "DEBUG", default=False, meaning="Show details of failures to clients; never in use."
        ),
        failpoints=reader.text(
            "FAILPOINTS", default="", meaning="Places where tests make the process die."
        ),
    )


def _database(reader: Reader, sockets: Sockets) -> DatabaseSettings:
    url = reader.url(
        "DATABASE_URL",
        schemes=("postgresql", "postgres"),
        example="postgresql://user:password@host:5432/roadstead",
        meaning="PostgreSQL to use; unset: one is started in the data directory.",
    )
    refused = unusable_parameters(django_database(url)["OPTIONS"]) if url else []
    if refused:
        reader.refuse(
            f"{PREFIX}DATABASE_URL has {' and '.join(refused)}, which the connections for pulls "
            "cannot honour: leave it out."
        )
    return DatabaseSettings(url=url or sockets.database_url, embedded=url is None)


def _broker(reader: Reader, sockets: Sockets) -> BrokerSettings:
    url = reader.url(
        "REDIS_URL",
        schemes=("redis", "rediss", "unix"),
        example="redis://host:6379/0",
        meaning="Redis to use; unset: one is started in the data directory.",
    )
    client_url = url or sockets.redis_url
    return BrokerSettings(url=_celery_url(client_url), client_url=client_url, embedded=url is None)


def _celery_url(client_url: str) -> str:
    """Translate the address of a socket: Celery writes ``redis+socket`` and ``virtual_host``."""
    if not client_url.startswith("unix:"):
        return client_url
    return "redis+socket:" + client_url.removeprefix("unix:").replace("?db=", "?virtual_host=")


def _auth(reader: Reader) -> AuthSettings:
    return AuthSettings(
        administrator_password=reader.secret(
            "ADMIN_PASSWORD",
            minimum_length=8,
            meaning="Password of the first administrator; used on the first start only.",
        ),
        token_lifetime_seconds=reader.integer(
            "TOKEN_LIFETIME_SECONDS",
            default=900,
            minimum=60,
            maximum=DAY_SECONDS,
            meaning="Seconds for which a registry token is valid, until token_expiration is set.",
        ),
        robot_name_prefix=reader.matching(
            "ROBOT_NAME_PREFIX",
            default="robot-",
            pattern=r"[A-Za-z0-9][A-Za-z0-9._$+-]{0,31}",
            rule="begin with a letter or digit and hold at most 32 letters, digits or . _ $ + -",
            meaning="What the login name of every robot begins with, until it is set.",
        ),
    )


def _limits(reader: Reader) -> LimitSettings:
    return LimitSettings(
        upload_lifetime_seconds=reader.integer(
            "UPLOAD_LIFETIME_SECONDS",
            default=7 * DAY_SECONDS,
            minimum=60,
            maximum=365 * DAY_SECONDS,
            meaning="Seconds after which an upload that nobody continued is removed.",
        ),
        accepts_missing_blobs=reader.boolean(
            "ACCEPT_MISSING_BLOBS",
            default=False,
            meaning="Accept manifests before the blobs that they name, instead of refusing them.",
        ),
        trash_days=reader.integer(
            "TRASH_DAYS",
            default=7,
            minimum=0,
            maximum=365,
            meaning="Days for which what is deleted can be restored; 0: deleted for good.",
        ),
        usage_days=reader.integer(
            "USAGE_DAYS",
            default=400,
            minimum=1,
            maximum=3_660,
            meaning="Days for which pulls stay counted by day, tag and client.",
        ),
    )


def _logging(reader: Reader) -> LoggingSettings:
    return LoggingSettings(
        level=reader.choice(
            "LOG_LEVEL",
            default="info",
            choices=("debug", "info", "warning", "error"),
            meaning="Least important messages that are written.",
        ),
        format=reader.choice(
            "LOG_FORMAT",
            default="console",
            choices=("console", "json"),
            meaning="Lines for people or one JSON object per line.",
        ),
    )


@cache
def current() -> Environment:
    """Return the settings of this process. Raises ConfigurationError."""
    return load(os.environ)


def override(**values: str | None) -> None:
    """Set variables (named without the prefix) for this process and its children.

    The command line uses it for its options; None leaves a variable as it is.
    """
    for name, value in values.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = value
    current.cache_clear()


def child_environment(**values: str) -> dict[str, str]:
    """Return the environment for a child process, with `values` set over it."""
    return {**os.environ, **values}


def secret_key(environment: Environment) -> str:
    """Return the signing key: the configured one, or the one kept in the data directory.

    Raises ConfigurationError when the file cannot be read or made, or the directory is not ours.
    """
    if environment.server.secret_key:
        return environment.server.secret_key
    key_file = environment.server.data_dir / "secret_key"
    if not os.path.lexists(key_file):
        data_directory.claim(environment.server.data_dir)
    return stored_secret(key_file)


def shown(environment: Environment) -> tuple[Setting, ...]:
    """Return the settings to print, with the secret key that the data directory keeps."""
    key_file = environment.server.data_dir / "secret_key"
    if environment.server.secret_key or not os.path.lexists(key_file):
        return environment.shown
    return tuple(
        replace(setting, value=MASK, origin=f"file {key_file}")
        if setting.name == f"{PREFIX}SECRET_KEY"
        else setting
        for setting in environment.shown
    )


def use_django_settings() -> None:
    """Name the settings module to Django; a name that is already set stays."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.config.settings")
