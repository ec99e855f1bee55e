"""docs/performance.md: the results between two marks, in a page that is written by hand."""

from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchmarkFailed
from bench.results import Section
from bench.table import align, render

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of results -->"


def compose(machine: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """Return what stands between the marks."""
    facts = align([("Fact", "Value"), *machine])
    return "\n\n".join([facts, *(render(section) for section in sections)])


def write(page: Path, results: str) -> None:
    """Put results in place of those that the page has. Raises BenchmarkFailed without marks."""
    page.write_text(replaced(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def replaced(text: str, results: str) -> str:
    """Return the text with other results. Raises BenchmarkFailed when its marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchmarkFailed(f"The page needs the lines {BEGIN!r} and {END!r}.")
    return f"{before}{BEGIN}\n\n{results}\n\n{END}{after}"
