"""One push through the filesystem driver: `python -m tests.faults.one_push ROOT KEY`.

Prints one line of JSON for each state that a registry would acknowledge, and at last either
"committed" or the name of the error that ended it.
"""

import json
import sys
from pathlib import Path

from core.common.errors import DomainError
from core.storage.filesystem import FilesystemDriver

CONTENT = bytes(range(256)) * 600
PIECES = (CONTENT[:100_000], CONTENT[100_000:])


def main(root: Path, key: str) -> None:
    """Push CONTENT in two pieces."""
    driver = FilesystemDriver(root)
    state, size = driver.start(key), 0
    _say(size, state)
    for number, piece in enumerate(PIECES):
        writer = driver.open_writer(key, state, size)
        try:
            writer.write(piece)
            state, size = writer.sync(last=number == 1), writer.offset
        finally:
            writer.close()
        _say(size, state)
    driver.commit(key, state, size)
    _say("committed", None)


def _say(what: int | str, state: object) -> None:
    sys.stdout.write(json.dumps([what, state]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except DomainError as error:
        _say(type(error).__name__, None)
