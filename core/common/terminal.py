"""Where commands print for people."""

import sys

from rich.console import Console

_UNCUT = 10_000


def make_console() -> Console:
    """Return a console as wide as the terminal, or so wide that piped output is never cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNCUT)
