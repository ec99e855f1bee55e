"""Plain values of the feature."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What a login needs of a user, read with one statement."""

    user_id: int
    username: str
    password_hash: str = field(repr=False)
    is_active: bool
    is_system_admin: bool

    @property
    def subject(self) -> str:
        """Key of the subject in revocations and tokens."""
        return subject_of(self.user_id)


@dataclass(frozen=True, slots=True)
class HtpasswdLine:
    """One usable line of a file: a name and the bcrypt hash as the file has it."""

    username: str
    bcrypt_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HtpasswdImport:
    """What an import did: names created, names that existed, and refusals by line number."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    refused: tuple[tuple[int, str], ...]


def subject_of(user_id: int) -> str:
    """Return the subject key of a user, as ``Actor.subject`` forms it."""
    return f"user:{user_id}"
