"""Blobs that a reverse proxy sends by itself: nginx, told by ``X-Accel-Redirect``.

Only for a proxy that says with each request that it understands: whoever reaches the port
without one gets the bytes, not an empty answer. What the proxy would answer otherwise than the
registry (several ranges, conditions on the content) stays here.
"""

from collections.abc import Sequence
from typing import Final

from django.conf import settings

from core.artifacts.types import StoredBlob
from core.oci.http_range import ByteRange
from core.storage.selection import current_store
from registry_api.calls import Call

_CONDITIONS: Final = ("if-match", "if-modified-since", "if-range", "if-unmodified-since")


def internal_address(
    call: Call, blob: StoredBlob, ranges: Sequence[ByteRange] | None
) -> str | None:
    """Return where the proxy finds the bytes, None where they are to be sent from here.

    ``ranges`` are those that the answer is to consist of, None for all. The content has still
    to be looked at: the proxy sends what it finds.
    """
    prefix: str = settings.STORAGE_ACCEL_PREFIX
    if not prefix or call.headers.get("x-sendfile-type", "").lower() != "x-accel-redirect":
        return None
    is_plain = "range" not in call.headers if ranges is None else len(ranges) == 1
    if not is_plain or any(name in call.headers for name in _CONDITIONS):
        return None
    return f"{prefix}{blob.storage_key}" if blob.store == current_store() else None
