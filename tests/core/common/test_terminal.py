"""Output of commands."""

import pytest

from core.common.terminal import make_console

pytestmark = pytest.mark.pure


def test_piped_output_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"
