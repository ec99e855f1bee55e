"""The checks of this package, tried on small pieces of good and bad code."""

import ast
from pathlib import Path

import pytest

from tests.architecture.audit_actions import Unreadable, actions_of
from tests.architecture.source import Module
from tests.architecture.test_hygiene import catches_everything, is_broad, touches_environment
from tests.architecture.test_tables import NAME, UNNAMED
from tests.architecture.test_writes import durable_writes_of, takes_actor_by_keyword

pytestmark = pytest.mark.architecture


def sample(text: str) -> Module:
    path = Path(__file__).resolve().parents[2] / "core" / "sample.py"
    return Module("core.sample", path, text, ast.parse(text))


def the_handler(text: str) -> ast.ExceptHandler:
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ExceptHandler)]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("audit.record('a.b.made', actor)", ["a.b.made"]),
        ("record_buffered(AuditRecord(action='user.login', actor=actor))", ["user.login"]),
        ("audit.record('a.on' if flag else 'a.off', actor)", ["a.on", "a.off"]),
        ("NAME = 'a.b.made'\naudit.record(NAME, actor)", ["a.b.made"]),
        ("audit.record(f'a.{verb}', actor)", ["a.{verb}"]),
        (
            "def note(action, actor):\n    audit.record(action, actor)\nnote('a.b.made', me)",
            ["a.b.made"],
        ),
        (
            "def outer(actor, *, action):\n    inner(actor, action)\n"
            "def inner(actor, what):\n    audit.record(what, actor)\n"
            "outer(me, action='a.b.made')",
            ["a.b.made"],
        ),
        ("log.record('not.an.action')", []),
        ("other('a.b.made')", []),
    ],
)
def test_audit_actions_are_found(text: str, actions: list[str]) -> None:
    assert [found.action for found in actions_of(sample(text))] == actions


def test_an_action_that_nobody_can_look_up_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"core/sample\.py:1"):
        list(actions_of(sample("audit.record(compute(), actor)")))


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("os.environ['A']", True),
        ("os.getenv", True),
        ("from os import environ", True),
        ("from os import path", False),
        ("self.environ", False),
    ],
)
def test_readers_of_the_environment_are_found(text: str, is_found: bool) -> None:
    assert any(touches_environment(node) for node in ast.walk(ast.parse(text))) == is_found


@pytest.mark.parametrize(
    ("caught", "broad", "everything"),
    [
        ("", True, True),
        (" Exception", True, False),
        (" BaseException", True, True),
        (" (ValueError, Exception)", True, False),
        (" ValueError", False, False),
        (" (ValueError, OSError)", False, False),
    ],
)
def test_broad_handlers_are_found(caught: str, broad: bool, everything: bool) -> None:
    handler = the_handler(f"try:\n    pass\nexcept{caught}:\n    raise")
    assert (is_broad(handler), catches_everything(handler)) == (broad, everything)


@pytest.mark.parametrize(
    ("text", "names", "is_right"),
    [
        ("@durable_write\ndef make(name, *, actor): ...", ["core.sample.make"], True),
        ("@durable_write\ndef make(name, actor): ...", ["core.sample.make"], False),
        ("@durable_write\ndef make(name): ...", ["core.sample.make"], False),
        (
            "def _make(*, actor): ...\nmake = durable_write(_make)",
            ["core.sample.make"],
            True,
        ),
        ("def make(name): ...", [], True),
    ],
)
def test_durable_writes_are_found(text: str, names: list[str], is_right: bool) -> None:
    writes = dict(durable_writes_of(sample(text)))
    assert list(writes) == names
    assert all(map(takes_actor_by_keyword, writes.values())) == is_right


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        ("0001_robots", True),
        ("0002_built_in_roles", True),
        ("0001_initial", False),
        ("0002_auto_20260101_1200", False),
        ("0003_alter_user_email", False),
        ("0003_user_email_and_more", False),
        ("1_robots", False),
    ],
)
def test_names_of_migrations_are_judged(name: str, is_right: bool) -> None:
    match = NAME.fullmatch(name)
    assert (match is not None and not UNNAMED.match(match["words"])) == is_right
