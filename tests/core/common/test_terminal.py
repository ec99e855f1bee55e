"""Output of commands."""

import io

import pytest
from rich.console import Console

from core.common.terminal import StageBars, make_console

pytestmark = pytest.mark.pure


def test_piped_output_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_bars_are_shown_on_a_terminal_only() -> None:
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
        with StageBars(console) as bars:
            bars.begin("Objects", None)
            bars.advance(1_234)
            bars.begin("Content", 2_000_000, is_bytes=True)
            bars.advance(1_000_000)
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        for part in ("Objects", "1,234 of 1,234", "1.0 MB of 2.0 MB"):
            assert (part in shown) is is_terminal
