"""The page that results are written to."""

from pathlib import Path

import pytest

from bench.errors import BenchmarkFailed
from bench.report import BEGIN, END, PAGE, compose, replaced, write
from bench.results import Measured, Row, Section
from bench.statistics import Series

pytestmark = pytest.mark.pure


def test_only_what_stands_between_the_marks_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    write(page, "new")
    write(page, "newer")
    text = page.read_text(encoding="utf-8")
    assert text == f"before\n\n{BEGIN}\n\nnewer\n\n{END}\n\nafter\n"


@pytest.mark.parametrize("text", ["nothing", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_marks_is_left_alone(text: str) -> None:
    with pytest.raises(BenchmarkFailed):
        replaced(text, "new")


def test_the_page_of_the_project_has_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert "new results" in replaced(text, "new results")


def test_results_begin_with_the_machine() -> None:
    section = Section("Memory", "all", "-", [Row("idle", "MB", Measured(Series((341.0,))))])
    text = compose([("Kernel", "Linux 6.1")], [section])
    assert text.index("Linux 6.1") < text.index("### Memory") < text.index("341")
