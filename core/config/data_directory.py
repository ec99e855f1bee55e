"""Whose a data directory is, decided before anything in it is touched.

The first use leaves a mark. Without one, only a directory that is empty, or that holds nothing
but what Roadstead keeps there (as after a restore), is taken: nobody's files are mixed with ours,
and the permissions of a directory that was there before are never changed.
"""

import os
from pathlib import Path

from core.config.privileges import needs_other_account
from core.config.reader import ConfigurationError

MARK = "roadstead-data"
OWN_NAMES = frozenset(
    {MARK, "postgresql", "postgresql.new", "storage", "secret_key", "log", "run", "serve.lock"}
)
# A directory of these was ours; `log` and `run` alone may be anybody's.
TELLING_NAMES = frozenset({"storage", "secret_key", "serve.lock"})
# What a new file system holds before anybody has written to it.
NOBODYS_NAMES = frozenset({"lost+found"})


def claim(directory: Path) -> None:
    """Make the directory, or take it if it may be taken, and leave the mark.

    Raises ConfigurationError when it is in use for something else or cannot be used.
    """
    refuse_foreign(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # The account that PostgreSQL needs in place of root has to pass through.
        directory.mkdir(mode=0o711 if needs_other_account() else 0o700, exist_ok=True)
        if not (directory / MARK).exists():
            (directory / MARK).touch(mode=0o600)
    except OSError as error:
        raise _unusable(directory, error) from error


def refuse_foreign(directory: Path) -> None:
    """Raise ConfigurationError unless the directory is missing, free or Roadstead's."""
    try:
        if not os.path.lexists(directory):
            return
        if not directory.is_dir():
            raise ConfigurationError(
                f"{directory} is not a directory: choose another with --data-dir."
            )
        names = frozenset(path.name for path in directory.iterdir()) - NOBODYS_NAMES
        cluster = directory / "postgresql"
        has_foreign_database = "postgresql" in names and not (cluster / "PG_VERSION").exists()
    except OSError as error:
        raise _unusable(directory, error) from error
    is_ours = not names - OWN_NAMES and names & TELLING_NAMES
    if names and MARK not in names and (not is_ours or has_foreign_database):
        raise ConfigurationError(
            f"{directory} holds files that are not Roadstead's: choose an empty or a new directory "
            "with --data-dir."
        )


def _unusable(directory: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{directory} cannot be used ({error.strerror}): choose another directory with --data-dir."
    )
