"""Where commands print for people."""

import sys
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_UNCUT = 10_000


def make_console() -> Console:
    """Return a console as wide as the terminal, or so wide that piped output is never cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNCUT)


class _Done(ProgressColumn):
    """How much is done, and of how much if that is known."""

    def render(self, task: Task) -> Text:
        """Write the numbers of one bar."""
        number = decimal if task.fields["is_bytes"] else "{:,}".format
        done = number(int(task.completed))
        return Text(done if task.total is None else f"{done} of {number(int(task.total))}")


class StageBars:
    """A bar on standard error for every stage of some work, where that is a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        """Show nothing yet."""
        where = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Done(),
            TimeRemainingColumn(),
            console=where,
            disable=not where.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, stage: str, total: int | None, *, is_bytes: bool = False) -> None:
        """End the bar of the stage before and begin one of ``total`` steps or bytes."""
        if self._bars.tasks:
            # A stage whose end nobody knew has come to it.
            ended = self._bars.tasks[-1]
            self._bars.update(ended.id, total=ended.completed)
        self._bars.add_task(stage, total=total, is_bytes=is_bytes)

    def advance(self, steps: int) -> None:
        """Move the newest bar on. Any thread may do so."""
        self._bars.advance(self._bars.task_ids[-1], steps)
