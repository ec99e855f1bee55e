"""Entries of the audit log for logins that succeed.

There are as many as there are requests for tokens. They are buffered, and those that one client
makes within one write of the buffer are one entry that says how many they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.audit.buffer import BUFFER, Channel
from core.audit.services import write_many
from core.audit.types import AuditRecord
from core.common.clock import now
from core.common.origin import Origin
from core.rbac.types import Actor


@dataclass(slots=True)
class Login:
    """Who proved who it is, when first, and how often since."""

    actor: Actor
    at: datetime
    times: int = 1

    def repeat(self) -> None:
        """Count one more that differs in nothing but the moment and the request."""
        self.times += 1


def _store(logins: Sequence[Login]) -> None:
    write_many([_record(login) for login in logins])


def _record(login: Login) -> AuditRecord:
    return AuditRecord(
        action="user.login",
        actor=login.actor,
        target_kind=str(login.actor.kind),
        target_id=str(login.actor.id),
        target_label=login.actor.label,
        detail={"times": login.times} if login.times > 1 else None,
        recorded_at=login.at,
    )


_LOGINS: Channel[Login] = BUFFER.channel("logins", _store)


def record_login(actor: Actor) -> None:
    """Audit that the actor has just proved who it is."""
    if BUFFER.is_full:
        BUFFER.flush()
    note_login(actor, actor.origin)


def note_login(actor: Actor, origin: Origin) -> None:
    """Do the same without I/O, for an event loop; the caller sees to a full buffer.

    ``origin`` is where the actor has proved it from.
    """
    key = (actor.kind, actor.id, actor.token_id, origin.address, origin.user_agent)
    BUFFER.fold(
        _LOGINS,
        key,
        make=lambda: Login(replace(actor, origin=origin), now()),
        repeat=Login.repeat,
    )
