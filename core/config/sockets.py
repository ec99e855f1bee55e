"""Where the embedded PostgreSQL and Redis of a data directory listen.

Both use Unix sockets only. The kernel limits the path of a socket to 107 bytes,
so a data directory with a long path gets a short directory of its own for them;
its name follows from the data directory, so that every command finds it again.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_LIMIT_BYTES = 107
# Not $TMPDIR: every terminal must find the same directory.
SHORT_PARENT = Path("/tmp")  # noqa: S108  (the directory made in it is private)
POSTGRESQL_SOCKET = ".s.PGSQL.5432"
DATABASE = "roadstead"
DATABASE_CONNECTIONS = 400
DATABASE_ROLE = "roadstead"


@dataclass(frozen=True, slots=True)
class Sockets:
    """Directories and addresses of the embedded services."""

    directory: Path
    postgresql_directory: Path
    redis_socket: Path

    @property
    def database_url(self) -> str:
        """Address of the embedded PostgreSQL database."""
        host = quote(str(self.postgresql_directory), safe="")
        return f"postgresql://{DATABASE_ROLE}@{host}/{DATABASE}"

    @property
    def redis_url(self) -> str:
        """Address of the embedded Redis."""
        return f"unix://{quote(str(self.redis_socket))}?db=0"


def sockets_of(data_dir: Path) -> Sockets:
    """Return where the services embedded in `data_dir` listen."""
    directory = data_dir / "run"
    longest = directory / "pg" / POSTGRESQL_SOCKET
    if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT_BYTES:
        mark = hashlib.sha256(os.fsencode(os.path.realpath(data_dir))).hexdigest()[:12]
        directory = SHORT_PARENT / f"roadstead-{os.geteuid()}-{mark}"
    return Sockets(
        directory=directory,
        postgresql_directory=directory / "pg",
        redis_socket=directory / "redis.sock",
    )
