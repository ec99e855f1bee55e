"""What is secret does not reach the log."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.config.env import LoggingSettings
from core.config.logging import MASK, configuration, redact

pytestmark = pytest.mark.pure

TOKEN = "rsd_pat_" + "a" * 36


def redacted(**event: object) -> dict[str, object]:
    """Return `event` as the log would show it."""
    return dict(redact(None, "info", dict(event)))


@pytest.mark.parametrize(
    "key", ["password", "new_password", "client_secret", "Authorization", "refresh_token", "cookie"]
)
def test_values_of_secret_keys_are_masked(key: str) -> None:
    assert redacted(**{key: "plain"}) == {key: MASK}


@pytest.mark.parametrize("key", ["token_id", "token_name", "token_lifetime_seconds", "secret_at"])
def test_facts_about_secrets_are_kept(key: str) -> None:
    assert redacted(**{key: "plain"}) == {key: "plain"}


def test_tokens_are_masked_wherever_they_stand() -> None:
    shown = redacted(
        event=f"login with {TOKEN} failed",
        headers={"x": f"Basic {'QWxhZGRpbjpvcGVu'}", "cookie": "a=b"},
        parts=[TOKEN, 5],
        jwt="eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    )
    assert shown["event"] == f"login with {MASK} failed"
    assert shown["headers"] == {"x": f"Basic {MASK}", "cookie": MASK}
    assert shown["parts"] == [MASK, 5]
    assert shown["jwt"] == MASK


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """Put the logging of the test session back afterwards."""
    root = logging.getLogger()
    handlers, level, old = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**old)


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_hold_no_secret_and_no_local_variable(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration(LoggingSettings(level="info", format=form))
    hidden_word = "plain" + "-word"
    try:
        raise ValueError(TOKEN)
    except ValueError:
        structlog.get_logger(f"product.{form}").exception("failed")
    shown = capsys.readouterr().err
    assert f"ValueError: {MASK}" in shown
    assert TOKEN not in shown
    assert hidden_word not in shown


@pytest.mark.usefixtures("_own_logging")
def test_json_lines_of_structlog_and_of_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    configuration(LoggingSettings(level="info", format="json"))
    structlog.get_logger("product").info("pushed", project="library", password="plain")
    logging.getLogger("library").warning("saw %s", TOKEN)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["pushed", f"saw {MASK}"]
    assert lines[0]["project"] == "library"
    assert lines[0]["password"] == MASK
    assert lines[1]["level"] == "warning"
