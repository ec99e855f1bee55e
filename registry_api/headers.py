"""The header fields of a request, read as cheaply as a pull reads them."""

from collections.abc import Iterable
from typing import overload


class RequestHeaders:
    """Fields by name in lower case, as the server hands them over."""

    __slots__ = ("_fields", "_first")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._fields = list(fields)
        # Of a field that was sent several times the first counts.
        self._first = dict(reversed(self._fields))

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a field, ``default`` when it was not sent."""
        value = self._first.get(name.encode())
        return default if value is None else value.decode("latin-1")

    def list(self, name: str) -> str | None:
        """Return a field that may be sent several times as the one list that it means."""
        wanted = name.encode()
        if wanted not in self._first:
            return None
        return ",".join(value.decode("latin-1") for field, value in self._fields if field == wanted)

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._first
