"""What the feature announces."""

from dataclasses import dataclass

from core.events.types import Event


@dataclass(frozen=True)
class UserCreated(Event):
    """A user exists now."""

    user_id: int
    username: str


@dataclass(frozen=True)
class UserDeleted(Event):
    """A user is gone, with its tokens and memberships; the name is free again."""

    user_id: int
    username: str
