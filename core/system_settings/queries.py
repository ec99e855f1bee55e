"""Reading run-time settings."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings as environment
from django.db import transaction

from core.database import raw
from core.database.statements import Statement
from core.system_settings.errors import SystemReadOnly
from core.system_settings.models import StoredSettings
from core.system_settings.types import DECLARED, Settings

FRESH_SECONDS = 2.0
"""How long a process may go on with what it has read."""

LOCK: Final = 0x72737365
"""Advisory lock: shared by writes that rely on a setting, alone for a change of settings."""

_READ: Final = f"SELECT changed FROM {StoredSettings._meta.db_table}"  # noqa: S608  # constants
# Two statements, so that the second sees what was committed while the first waited.
_SHARE: Final = Statement("settings_share", f"SELECT pg_advisory_xact_lock_shared({LOCK})")
_READ_SHARED: Final = Statement("settings_read_shared", _READ)
_REFUSE: Final = Statement(
    "settings_refuse_while_read_only", f"SELECT system_settings_refuse_while_read_only({LOCK})"
)


@dataclass(frozen=True, slots=True)
class _Memory:
    settings: Settings
    token_lifetime_seconds: int
    read_at: float


class _Store:
    """What this process has read last."""

    def __init__(self) -> None:
        self.memory: _Memory | None = None
        self.times_forgotten = 0
        self.reading = threading.Lock()


_STORE: Final = _Store()


def current() -> Settings:
    """Return the settings as they were at most ``FRESH_SECONDS`` ago.

    Costs one small statement each ``FRESH_SECONDS`` in a process that asks. Raises
    ``django.db.DatabaseError``.
    """
    return _recall().settings


def committed() -> Settings:
    """Return the settings as they were last committed, by whichever process.

    For answers that show them: a client that has just changed one finds the change, and its entity
    tag stands for what is stored. One small statement each time, so not for pulls and tokens.
    """
    return _understand(raw.fetch_one(_READ)).settings


def remembered() -> Settings:
    """Return what this process has read last, without I/O; defaults if it has read nothing.

    For an event loop that has made sure of ``is_recent``.
    """
    memory = _STORE.memory
    return memory.settings if memory is not None else _understand(None).settings


def is_recent() -> bool:
    """Tell whether ``remembered`` is as good as ``current``; no I/O."""
    memory = _STORE.memory
    return memory is not None and _is_fresh(memory)


def token_lifetime_seconds(*, may_read: bool = True) -> int:
    """Return for how long a registry token is valid.

    The environment's number of seconds counts until ``token_expiration`` is set. Without
    ``may_read`` it is what this process has read last, as for ``remembered``.
    """
    memory = _recall() if may_read else _STORE.memory or _understand(None)
    return memory.token_lifetime_seconds


def share_locked() -> Settings:
    """Return the settings as they are, which stay so until the caller's transaction ends.

    One round trip. A change of settings waits for the transaction, and the transaction for a
    change that is under way.
    """
    _require_transaction()
    _SHARE.execute_later()
    return _understand(_READ_SHARED.fetch_one()).settings


def ensure_writable_locked() -> None:
    """Refuse to change content in read-only mode, which cannot begin before the caller commits.

    Raises ``SystemReadOnly``.
    """
    if share_locked().read_only:
        raise SystemReadOnly


def ensure_writable_later() -> None:
    """Do the same along with what the caller's transaction does next, without waiting for it.

    The durable write raises ``SystemReadOnly`` then, from a broken constraint: not for a caller
    that takes a broken constraint for something else.
    """
    _require_transaction()
    _REFUSE.execute_later()


def _require_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Settings are shared inside the transaction that relies on them.")


def forget() -> None:
    """Let the next ``current`` of this process read."""
    _STORE.times_forgotten += 1
    _STORE.memory = None


def _recall() -> _Memory:
    memory = _STORE.memory
    if memory is not None and _is_fresh(memory):
        return memory
    is_reading = _STORE.reading.acquire(blocking=memory is None)
    try:
        latest = _STORE.memory
        if latest is not None and (not is_reading or _is_fresh(latest)):
            # Another thread reads, or has just done so.
            return latest
        times_forgotten = _STORE.times_forgotten
        read = _understand(raw.fetch_one(_READ))
        if _STORE.times_forgotten == times_forgotten:
            _STORE.memory = read
        return read
    finally:
        if is_reading:
            _STORE.reading.release()


def _is_fresh(memory: _Memory) -> bool:
    return time.monotonic() - memory.read_at < FRESH_SECONDS


def _understand(row: raw.Row | None) -> _Memory:
    read_at = time.monotonic()
    changed: dict[str, Any] = json.loads(row[0]) if row is not None else {}
    auth = environment.ROADSTEAD.auth
    seconds = auth.token_lifetime_seconds
    values = {
        "token_expiration": -(-seconds // 60),
        "robot_name_prefix": auth.robot_name_prefix,
        # A key of a later version, whose rows an older process may see, is left out.
        **{key: value for key, value in changed.items() if key in DECLARED},
    }
    if "token_expiration" in changed:
        seconds = 60 * changed["token_expiration"]
    return _Memory(Settings(**values), seconds, read_at)
