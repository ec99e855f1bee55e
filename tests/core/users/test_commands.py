from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.users import commands, passwords, queries
from core.users.commands import app
from tests.core.users.test_passwords import bcrypt_line
from tests.factories.users import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str, given: str | None = None, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments, input=given)
    assert result.exit_code == exit_code, result.output
    return result.output


def test_create_shows_a_generated_password_that_works() -> None:
    output = run("create", "alice", "--admin", "--email", "a@example.org")
    password = output.split()[-1]
    user = queries.find_user("alice")
    assert user is not None
    assert user.is_superuser
    assert passwords.is_correct(password, user.password)


def test_create_reads_a_password_and_does_not_show_it() -> None:
    output = run("create", "alice", "--password-stdin", given=f"{PASSWORD}\n")
    assert PASSWORD not in output
    user = queries.find_user("alice")
    assert user is not None
    assert passwords.is_correct(PASSWORD, user.password)


def test_refusals_are_one_sentence_and_a_failing_exit() -> None:
    assert "8 to 128 characters" in run(
        "create", "alice", "--password-stdin", given="weak\n", exit_code=1
    )
    assert "no user named alice" in run("promote", "alice", exit_code=1)
    assert "8 to 128 characters" in run(
        "create", "alice", "--password-stdin", given="", exit_code=1
    )


def test_reset_password_asks_reads_or_generates(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    monkeypatch.setattr(commands, "_has_terminal", lambda: True)
    run("reset-password", "alice", given="Another-horse-2\nAnother-horse-2\n")
    user.refresh_from_db()
    assert passwords.is_correct("Another-horse-2", user.password)
    run("reset-password", "alice", "--password-stdin", given="Third-horse-3\n")
    user.refresh_from_db()
    assert passwords.is_correct("Third-horse-3", user.password)
    generated = run("reset-password", "alice", "--generate").split()[-1]
    user.refresh_from_db()
    assert passwords.is_correct(generated, user.password)


def test_reset_password_without_a_terminal_names_the_options() -> None:
    make_user()
    given = "Another-horse-2\nAnother-horse-2\n"
    assert run("reset-password", "alice", given=given, exit_code=1) == (
        "There is no terminal to ask at: give --password-stdin or --generate.\n"
    )


def state_of(username: str) -> tuple[bool, bool]:
    user = queries.find_user(username)
    assert user is not None
    return user.is_superuser, user.is_active


def test_promote_disable_and_list() -> None:
    make_user("root", is_system_admin=True)
    make_user()
    run("promote", "alice")
    run("disable", "alice")
    assert state_of("alice") == (True, False)
    assert "alice" in run("list")
    run("promote", "alice", "--revoke")
    run("disable", "alice", "--enable")
    assert state_of("alice") == (False, True)
    assert "last active system administrator" in run("disable", "root", exit_code=1)


def test_import_htpasswd_reports_what_it_could_not_use(tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(f"alice:{bcrypt_line('old secret')}\n")
    assert "Created 1 user." in run("import-htpasswd", str(file))
    file.write_text("berta:plain\n")
    output = run("import-htpasswd", str(file), exit_code=1)
    assert "Line 1" in output
    assert "plain" not in output
