"""Reading htpasswd files as the Apache tool writes them."""

from collections.abc import Iterable, Iterator

from core.users import rules
from core.users.errors import PasswordHashInvalid
from core.users.types import HtpasswdLine


def read_htpasswd(lines: Iterable[str]) -> Iterator[tuple[int, HtpasswdLine | str]]:
    """Yield line numbers with either the line's content or why it cannot be used.

    Empty lines and comments are passed over.
    """
    for number, raw_line in enumerate(lines, start=1):
        line = raw_line.strip()
        if not line or line.startswith("#"):
            continue
        username, colon, password_hash = line.partition(":")
        if not colon:
            yield number, "The line is not <name>:<hash>."
            continue
        try:
            rules.ensure_bcrypt(password_hash)
        except PasswordHashInvalid:
            yield number, f"The hash of {username} is not bcrypt (htpasswd -B)."
        else:
            yield number, HtpasswdLine(username=username, bcrypt_hash=password_hash)
