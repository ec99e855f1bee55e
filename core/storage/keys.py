"""How a storage key looks: ``blobs/<2 hex>/<32 hex>``, made from an upload's UUID.

A key says nothing of the content, so the same bytes may be stored anew under another key
while the old object is being removed, and no key is ever used twice.
"""

import re
from uuid import UUID

from core.storage.errors import StorageKeyInvalid

FAN_OUT = tuple(f"{number:02x}" for number in range(256))
"""Names of the 256 folders that objects are spread over."""

_KEY = re.compile(r"blobs/(?P<folder>[0-9a-f]{2})/(?P<name>[0-9a-f]{32})")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{32}")


def key_for_upload(upload_id: UUID) -> str:
    """Return the key for the bytes of an upload.

    The folder comes from the end of the UUID, which is random in every version in use; the
    beginning of a time-ordered UUID would put the uploads of weeks into one folder.
    """
    return f"blobs/{upload_id.hex[-2:]}/{upload_id.hex}"


def parse_key(key: str) -> tuple[str, str]:
    """Return (folder, name) of a key; raises StorageKeyInvalid for anything else.

    Only these two parts are ever joined to a path, so no key leads out of the storage root.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise StorageKeyInvalid(f"{key!r} is not a storage key.")
    return match["folder"], match["name"]


def join_key(folder: str, name: str) -> str | None:
    """Return the key of an object found as ``folder/name``, None when it is not one of ours."""
    if _FOLDER.fullmatch(folder) and _NAME.fullmatch(name):
        return f"blobs/{folder}/{name}"
    return None
