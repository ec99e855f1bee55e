"""Habits that a linter knows only half of: settings, output, broad handlers, clocks."""

import ast
from collections import Counter

import pytest

from tests.architecture.source import written_modules

pytestmark = pytest.mark.architecture

ENVIRONMENT_READER = "core/config/env.py"
ENVIRONMENT_NAMES = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})

# Handlers of `Exception`, which belong to the edges only, counted, each with its reason.
BROAD_HANDLERS: dict[str, tuple[int, str]] = {
    "core/api/system.py": (1, "whatever a component throws means that it does not work"),
    "core/artifacts/attributes.py": (1, "one configuration must not stop the reading of others"),
    "core/audit/buffer.py": (3, "records wait or are named in the log, and the thread goes on"),
    "core/blobs/moving.py": (1, "copies under way are told to stop, then raised on"),
    "core/config/http_connection.py": (1, "the edge of the process: a failed request ends alone"),
    "core/database/asynchronous.py": (1, "a connection is closed, then raised on"),
    "core/events/services.py": (1, "one subscriber must not stop the others"),
    "jobservice/runs/tasks.py": (1, "the task base records how any run failed"),
    "registry_api/app.py": (1, "the edge of the protocol: what nobody anticipated becomes 500"),
    "registry_api/batches.py": (1, "those who asked together are told what went wrong"),
    "registry_api/streaming.py": (1, "a write that is under way is waited for, then raised on"),
    "registry_api/deliveries.py": (2, "the upload is put back in order, then raised on"),
    "registry_api/uploads.py": (1, "the upload is removed, then raised on"),
}
BROAD = frozenset({"Exception", "BaseException"})


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        module.relative
        for module in written_modules()
        if any(touches_environment(node) for node in ast.walk(module.tree))
    }
    assert readers == {ENVIRONMENT_READER}


def touches_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        is_os = isinstance(node.value, ast.Name) and node.value.id == "os"
        return is_os and node.attr in ENVIRONMENT_NAMES
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in ENVIRONMENT_NAMES for alias in node.names)
    return False


def test_nothing_is_printed() -> None:
    calls = 0
    for module in written_modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                calls += 1
                assert not (isinstance(node.func, ast.Name) and node.func.id == "print"), (
                    f"{module.relative}:{node.lineno} prints"
                )
    assert calls > 1000


def test_broad_handlers_are_the_known_ones() -> None:
    found = Counter(
        module.relative
        for module in written_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    )
    assert found == {path: count for path, (count, _reason) in BROAD_HANDLERS.items()}


def test_broad_handlers_of_everything_raise_on() -> None:
    """Nothing swallows the cancellation of a task or the end of a process."""
    seen = 0
    for module in written_modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler) or not catches_everything(node):
                continue
            seen += 1
            last = node.body[-1]
            assert isinstance(last, ast.Raise), f"{module.relative}:{node.lineno}"
            assert last.exc is None, f"{module.relative}:{node.lineno}"
    assert seen >= 1


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return isinstance(handler.type, ast.Name) and handler.type.id == "BaseException"


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in BROAD for one in caught)


def test_the_wall_clock_is_read_in_one_place() -> None:
    """Everybody else asks core.common.clock, so that tests can set the time."""
    seen_clock = False
    for module in written_modules():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("now", "utcnow", "today")
                and isinstance(node.value, ast.Name)
                and node.value.id in ("datetime", "date", "timezone")
            ):
                assert module.name == "core.common.clock", (
                    f"{module.relative}:{node.lineno} reads the clock itself"
                )
                seen_clock = True
    assert seen_clock


def test_no_work_is_left_as_a_note() -> None:
    lines = 0
    for module in written_modules():
        for number, line in enumerate(module.text.splitlines(), start=1):
            lines += 1
            for mark in ("TODO", "FIXME", "XXX", "HACK"):
                assert f"# {mark}" not in line, f"{module.relative}:{number} leaves a note"
    assert lines > 8000


def test_models_carry_no_signals() -> None:
    """Events tell other features of a change; model signals would do it behind their back.

    ``post_migrate`` is about the database as a whole, not about a row.
    """
    imports = 0
    for module in written_modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            imports += 1
            names = {alias.name for alias in node.names}
            if node.module == "django.db.models.signals" and names - {"post_migrate"}:
                raise AssertionError(f"{module.relative}:{node.lineno} uses a model signal")
            assert node.module != "django.dispatch", f"{module.relative}:{node.lineno}"
    assert imports > 800


def test_vocabularies_that_grow_are_not_choices() -> None:
    """Choices on a column make a migration of every new word."""
    fields = 0
    for module in written_modules():
        if not module.name.endswith(".models"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                fields += node.func.attr.endswith("Field")
                assert all(keyword.arg != "choices" for keyword in node.keywords), (
                    f"{module.relative}:{node.lineno} lists choices on a column"
                )
    assert fields > 80
