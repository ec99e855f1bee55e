"""The command `roadstead`. Commands of features are loaded only when they are called."""

import sys
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from core.common.errors import DomainError
from core.config import env, parts
from core.config.embedded_postgresql import PostgreSQLFailed
from core.config.embedded_redis import RedisFailed
from core.config.serve import ServeRefused, serve

CONFIGURATION_FAULT = WRONG_USE = 2
FAILED = 1
DATA_DIR = "--data-dir"

app = typer.Typer(
    name="roadstead",
    help="Roadstead, a self-hosted registry platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
# Checked with the settings, so that a wrong one gets the sentence of ROADSTEAD_PORT.
Port = Annotated[str | None, typer.Option(metavar="NUMBER", help="Port to listen on.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Directory that everything is kept in. May also stand after the command."),
]
Reload = Annotated[bool, typer.Option("--reload", help="Restart when the code changes.")]
ListenOn = Annotated[int | None, typer.Option("--listen-on", hidden=True)]

# Name of a command -> (its typer application, one line of help).
FEATURE_COMMANDS = {
    "user": ("core.authn.commands:user_app", "People: create, list, set passwords."),
    "project": ("core.members.commands:app", "Projects: create them and let people in."),
    "import": ("core.imports.commands:app", "Take over what another registry keeps."),
    "keys": ("core.authn.commands:app", "Keys that sign registry tokens."),
    "storage": ("core.blobs.commands:app", "Storages: what they hold, moving content."),
    "quota": ("core.usage.commands:app", "Limits and usage of projects; recounting it."),
    "fsck": ("core.integrity.commands:app", "Check that storage and database agree."),
}

# What it ends with when the database cannot be reached, where 1 says something else.
FAILURE_CODES = {"fsck": 3}


@app.callback()
def common(data_dir: DataDir = None) -> None:
    """Take the option that all commands have."""
    env.override(data_dir=None if data_dir is None else str(data_dir))


@app.command("serve")
def serve_command(host: Host = None, port: Port = None, reload: Reload = False) -> None:
    """Run everything on this machine: database, Redis, web, worker and scheduler."""
    env.override(host=host, port=port)
    raise typer.Exit(serve(env.current(), reload=reload))


@app.command()
def web(
    host: Host = None, port: Port = None, listen_on: ListenOn = None, reload: Reload = False
) -> None:
    """Run the web processes: registry protocol, management API and web pages."""
    env.override(host=host, port=port)
    parts.run_web("core.config.asgi.application", env.current(), listen_on, reload=reload)


@app.command()
def registry(host: Host = None, port: Port = None) -> None:
    """Run web processes that speak the registry protocol and nothing else."""
    env.override(host=host, port=port)
    parts.run_web("core.config.asgi.registry_only", env.current(), None, reload=False)


@app.command()
def worker(
    threads: Annotated[int, typer.Option(min=1, max=64, help="Runs carried out at once.")] = 4,
) -> None:
    """Run a worker that carries out runs."""
    parts.run_worker(env.current(), threads)


@app.command()
def scheduler() -> None:
    """Run a scheduler that starts what is due. Any number of them may run."""
    parts.run_scheduler(env.current())


@app.command()
def migrate() -> None:
    """Bring the database up to date, and set up a new installation."""
    parts.load_django(env.current())
    first_start = import_module("core.config.first_start")
    done = first_start.prepare()
    typer.echo(f"Migrations applied: {done.migrations}.")
    if done.new_password is not None:
        typer.echo(f"Administrator: {first_start.ADMINISTRATOR}, password: {done.new_password}")


@config_app.command("show")
def config_show() -> None:
    """Print every setting with its value and where the value comes from; no secrets."""
    shown = env.shown(env.current())
    name_width = max(len(setting.name) for setting in shown)
    value_width = max(len(setting.value) for setting in shown)
    for setting in shown:
        line = f"{setting.name:<{name_width}}  {setting.value:<{value_width}}  {setting.origin}"
        typer.echo(line.rstrip())


def _add_feature_command(name: str, path: str, help_text: str) -> None:
    @app.command(
        name,
        help=help_text,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def run(context: typer.Context) -> None:
        parts.load_django(env.current())
        module, _, attribute = path.partition(":")
        command = get_command(getattr(import_module(module), attribute))
        nothing = ["--help"] if isinstance(command, TyperGroup) else []
        try:
            command(args=context.args or nothing, prog_name=f"roadstead {name}")
        except parts.database_errors() as error:
            code = FAILURE_CODES.get(name, FAILED)
            _refuse(parts.database_fault(error, env.current()), code)


for _name, (_path, _help) in FEATURE_COMMANDS.items():
    _add_feature_command(_name, _path, _help)


def _data_dir_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--data-dir`` and its value before the name of the command."""
    first: list[str] = []
    rest: list[str] = []
    waiting = deque(arguments)
    while waiting and waiting[0] != "--":
        word = waiting.popleft()
        if word == DATA_DIR:
            if not waiting or waiting[0].startswith("-"):
                _refuse(f"{DATA_DIR} needs a directory: {DATA_DIR} /srv/registry", WRONG_USE)
            first += [word, waiting.popleft()]
        else:
            (first if word.startswith(f"{DATA_DIR}=") else rest).append(word)
    return [*first, *rest, *waiting]


def main() -> None:
    """Run the command; known failures become one sentence on standard error."""
    try:
        app(args=_data_dir_first(sys.argv[1:]))
    except env.ConfigurationError as error:
        _refuse(str(error), CONFIGURATION_FAULT)
    except (ServeRefused, PostgreSQLFailed, RedisFailed, DomainError) as error:
        _refuse(str(error), FAILED)
    except parts.database_errors() as error:
        _refuse(parts.database_fault(error, env.current()), FAILED)


def _refuse(sentence: str, code: int) -> NoReturn:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
