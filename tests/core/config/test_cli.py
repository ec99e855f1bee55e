"""The command as people type it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.config.cli import FEATURE_COMMANDS
from tests.support.server import REPOSITORY_ROOT


def roadstead(
    *arguments: str, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing but `variables` set."""
    return subprocess.run(
        [sys.executable, "-m", "core.config.cli", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY_ROOT),
            **{f"ROADSTEAD_{name.upper()}": value for name, value in variables.items()},
        },
        **({"stdin": subprocess.DEVNULL} if given is None else {"input": given}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_setting_stops_any_command_without_a_traceback() -> None:
    result = roadstead("config", "show", port="x", colour="red")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "ROADSTEAD_PORT cannot be 'x': set it to a whole number from 1 to 65535.",
        "ROADSTEAD_COLOUR is not a setting of Roadstead: remove it or correct its name.",
    ]


def test_a_wrong_setting_stops_serve() -> None:
    result = roadstead("serve", workers="none")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "ROADSTEAD_WORKERS" in result.stderr


def test_a_wrong_failpoint_stops_what_loads_django() -> None:
    result = roadstead("migrate", failpoints="nonsense", secret_key="x" * 40)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_config_show_prints_values_and_origins() -> None:
    result = roadstead("config", "show", port="5055", admin_password="hidden-one")
    assert result.returncode == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["ROADSTEAD_PORT"].split() == ["5055", "environment"]
    assert lines["ROADSTEAD_WORKERS"].split() == ["2", "default"]
    assert "hidden-one" not in result.stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [("user list", 1), ("storage status", 1), ("fsck", 3), ("fsck --json", 3), ("migrate", 1)],
)
def test_a_command_without_a_database_says_what_to_do(
    command: str, code: int, tmp_path: Path
) -> None:
    result = roadstead(*command.split(), "--data-dir", str(tmp_path / "data"))
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith("The database cannot be reached (")
    assert result.stderr.endswith(
        f"): start `roadstead serve --data-dir {tmp_path}/data`, name the directory of a server "
        "that runs with --data-dir, or set ROADSTEAD_DATABASE_URL.\n"
    )


def test_a_database_of_ones_own_that_cannot_be_reached(tmp_path: Path) -> None:
    url = "postgresql://app:hidden@127.0.0.1:1/app"
    result = roadstead("fsck", data_dir=f"{tmp_path}/data", database_url=url)
    assert result.returncode == 3
    assert result.stderr.endswith(": start its server, or correct ROADSTEAD_DATABASE_URL.\n")


def test_the_data_directory_is_named_before_or_after_the_command(tmp_path: Path) -> None:
    for arguments in (
        ("--data-dir", str(tmp_path), "config", "show"),
        ("config", "show", "--data-dir", str(tmp_path)),
        ("config", f"--data-dir={tmp_path}", "show"),
    ):
        shown = roadstead(*arguments)
        assert shown.returncode == 0, shown.stderr
        lines = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
        assert lines["ROADSTEAD_DATA_DIR"].split() == [str(tmp_path), "environment"]
    for arguments in (("fsck", "--data-dir"), ("--data-dir", "--json", "fsck")):
        refused = roadstead(*arguments)
        assert refused.returncode == 2
        assert refused.stderr == "--data-dir needs a directory: --data-dir /srv/registry\n"


@pytest.mark.parametrize("name", sorted(FEATURE_COMMANDS))
def test_commands_of_features_show_their_help(name: str, tmp_path: object) -> None:
    result = roadstead(name, "--help", data_dir=f"{tmp_path}/data")
    assert result.returncode == 0, result.stderr
    assert f"roadstead {name}" in result.stdout


@pytest.mark.parametrize("port", ["0", "80x", "65536"])
def test_a_wrong_port_gets_the_sentence_of_the_setting(port: str) -> None:
    for command in ("serve", "web", "registry"):
        result = roadstead(command, "--port", port)
        assert result.returncode == 2
        assert result.stderr == (
            f"ROADSTEAD_PORT cannot be '{port}': set it to a whole number from 1 to 65535.\n"
        )


def test_config_show_knows_the_key_of_the_data_directory_and_says_none(tmp_path: Path) -> None:
    def shown() -> dict[str, str]:
        result = roadstead("config", "show", data_dir=str(tmp_path))
        return {line.split()[0]: " ".join(line.split()[1:]) for line in result.stdout.splitlines()}

    assert shown()["ROADSTEAD_SECRET_KEY"] == "(unset) default"
    (tmp_path / "secret_key").write_text("k" * 40)
    assert shown()["ROADSTEAD_SECRET_KEY"] == f"******** file {tmp_path / 'secret_key'}"
    assert shown()["ROADSTEAD_FAILPOINTS"] == "(none) default"


@pytest.mark.parametrize(
    "arguments", [("user", "create", "alice"), ("user", "reset-password", "alice", "--generate")]
)
def test_a_password_that_would_be_ignored_is_refused(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    result = roadstead(*arguments, given="Another-horse-2\n", data_dir=f"{tmp_path}/data")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Standard input is not read without --password-stdin: add that option, or give no input "
        "and a password is made.\n"
    )


def test_a_password_cannot_be_asked_for_without_a_terminal(tmp_path: Path) -> None:
    result = roadstead("user", "reset-password", "alice", data_dir=f"{tmp_path}/data")
    assert result.returncode == 1
    assert result.stderr == "There is no terminal to ask at: give --password-stdin or --generate.\n"
