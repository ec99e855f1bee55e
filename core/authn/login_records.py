"""Entries of the audit log for logins that succeed.

There are as many as there are requests for tokens. They are buffered, and those that one client
makes within one write of the buffer are one entry that says how many they were.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from core.audit.buffer import BUFFER, Channel
from core.audit.services import write_many
from core.audit.types import AuditRecord
from core.common.clock import now
from core.rbac.types import Actor

Login = tuple[Actor, datetime]
"""Who proved who it is, and when."""


def _store(logins: Sequence[Login]) -> None:
    """Write one entry for those that differ in nothing but the moment and the request."""
    times = Counter(map(_key, logins))
    write_many([_record(login, count) for login in logins if (count := times.pop(_key(login), 0))])


def _key(login: Login) -> tuple[object, ...]:
    actor, _at = login
    origin = actor.origin
    return (actor.kind, actor.id, actor.token_id, origin.address, origin.user_agent)


def _record(login: Login, times: int) -> AuditRecord:
    actor, at = login
    return AuditRecord(
        action="user.login",
        actor=actor,
        target_kind=str(actor.kind),
        target_id=str(actor.id),
        target_label=actor.label,
        detail={"times": times} if times > 1 else None,
        recorded_at=at,
    )


_LOGINS: Channel[Login] = BUFFER.channel("logins", _store)


def record_login(actor: Actor) -> None:
    """Audit that the actor has just proved who it is."""
    BUFFER.add(_LOGINS, (actor, now()))


def note_login(actor: Actor) -> None:
    """Do the same without I/O, for an event loop; the caller sees to a full buffer."""
    BUFFER.keep(_LOGINS, (actor, now()))
