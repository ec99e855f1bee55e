"""Read-only mode, as one of the ``GATEKEEPERS``."""

from core.artifacts.types import PendingWrite
from core.system_settings.queries import ensure_writable_later


def refuse_while_read_only(write: PendingWrite) -> None:
    """Refuse every change of content in read-only mode. Raises ``SystemReadOnly``.

    Once the change to read-only mode is answered, no write that began before commits any more.
    """
    ensure_writable_later()
