"""``roadstead user``: accounts, from the server's own machine."""

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.common.errors import DomainError
from core.common.terminal import make_console
from core.common.text import counted
from core.rbac.types import Actor
from core.users import passwords, queries, services
from core.users.errors import PasswordInvalid, UserUnknown
from core.users.models import User

app = typer.Typer(name="user", help="Create and administer user accounts.")
console = make_console()

Username = Annotated[str, typer.Argument(help="Name of the user.")]
PasswordFromInput = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input."),
]


@app.command("create")
def create(
    username: Username,
    admin: Annotated[
        bool, typer.Option("--admin", help="Make the user a system administrator.")
    ] = False,
    email: Annotated[str, typer.Option(help="E-mail address.")] = "",
    password_stdin: PasswordFromInput = False,
) -> None:
    """Create a user; without --password-stdin a password is made and shown once."""
    with _readable_errors():
        generated = None if password_stdin else _generate_password()
        services.create_user(
            username,
            password=_password_from_input() if generated is None else generated,
            email=email,
            is_system_admin=admin,
            actor=Actor.system(),
        )
    console.print(f"Created the user {username}.", markup=False)
    if generated is not None:
        _show_generated(generated)


@app.command("list")
def show() -> None:
    """List all users."""
    table = Table("Name", "Email", "Administrator", "Active", "Created")
    for user in queries.list_users():
        table.add_row(
            user.username,
            user.email,
            "yes" if user.is_superuser else "",
            "yes" if user.is_active else "no",
            f"{user.created_at:%Y-%m-%d %H:%M} UTC",
        )
    console.print(table)


@app.command("reset-password")
def reset_password(
    username: Username,
    password_stdin: PasswordFromInput = False,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a password and show it once.")
    ] = False,
) -> None:
    """Set a new password; it is asked for twice unless an option says otherwise."""
    with _readable_errors():
        generated = _generate_password() if generate else None
        if not (generate or password_stdin or _has_terminal()):
            raise PasswordInvalid(
                "There is no terminal to ask at: give --password-stdin or --generate."
            )
        user = _get(username)
        if generated is not None:
            password = generated
        elif password_stdin:
            password = _password_from_input()
        else:
            password = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
        services.set_password(user, password, actor=Actor.system())
    console.print(f"Changed the password of {user.username}.", markup=False)
    if generated is not None:
        _show_generated(generated)


@app.command("promote")
def promote(
    username: Username,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Make an administrator ordinary again.")
    ] = False,
) -> None:
    """Make a user a system administrator."""
    with _readable_errors():
        user = services.set_system_admin(_get(username), not revoke, actor=Actor.system())
    role = "an ordinary user" if revoke else "a system administrator"
    console.print(f"{user.username} is {role} now.", markup=False)


@app.command("disable")
def disable(
    username: Username,
    enable: Annotated[bool, typer.Option("--enable", help="Let a disabled user in again.")] = False,
) -> None:
    """Shut a user out: logins, tokens and everything issued to it end at once."""
    with _readable_errors():
        user = services.set_active(_get(username), enable, actor=Actor.system())
    console.print(f"{user.username} is {'enabled' if enable else 'disabled'} now.", markup=False)


@app.command("import-htpasswd")
def import_htpasswd(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="File with bcrypt hashes.")
    ],
) -> None:
    """Create the users of an htpasswd file; they keep their passwords."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        result = services.import_htpasswd(lines, actor=Actor.system())
    console.print(f"Created {counted(len(result.created), 'user')}.")
    for username in result.existing:
        console.print(f"{username} exists already and was left as it is.", markup=False)
    for number, reason in result.refused:
        console.print(f"Line {number}: {reason}", markup=False)
    if result.refused:
        raise typer.Exit(1)


def _get(username: str) -> User:
    user = queries.find_user(username)
    if user is None:
        raise UserUnknown(f"There is no user named {username}.")
    return user


def _generate_password() -> str:
    """Make a password. Raises PasswordInvalid when somebody seems to have given another one."""
    if _has_piped_input():
        raise PasswordInvalid(
            "Standard input is not read without --password-stdin: add that option, or give no "
            "input and a password is made."
        )
    return passwords.generate_password()


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _has_piped_input() -> bool:
    """Say whether text waits on standard input, without waiting for it."""
    if sys.stdin is None or sys.stdin.isatty():
        return False
    try:
        ready, _, _ = select.select([sys.stdin], [], [], 0)
    except (OSError, ValueError):
        # Not a file of the system, as in a program that runs the command by itself.
        return False
    # An end is ready too; only a character tells that there is a password.
    return (
        bool(ready)
        and isinstance(sys.stdin.buffer, BufferedReader)
        and bool(sys.stdin.buffer.peek(1))
    )


def _password_from_input() -> str:
    """Read one line, without its end."""
    return sys.stdin.readline().rstrip("\r\n")


def _show_generated(password: str) -> None:
    console.print(f"Password (shown this once): {password}", markup=False, soft_wrap=True)


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
