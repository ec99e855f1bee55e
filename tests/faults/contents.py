"""The storage of a server as it lies there, read without any of the product's code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

PIECE_BYTES = 1 << 20


class Contents(Protocol):
    """Objects by storage key (``blobs/<2 hex>/<32 hex>``), and what is not finished."""

    def size(self, key: str) -> int | None:
        """Return the length of a finished object, None when there is none."""

    def pieces(self, key: str) -> Iterator[bytes]:
        """Return the bytes of a finished object."""

    def finished(self) -> set[str]:
        """Return the keys of all finished objects."""

    def unfinished(self) -> set[str]:
        """Return the keys that hold bytes of unfinished uploads."""

    def foreign(self) -> list[str]:
        """Return the names of everything that is neither."""

    def acknowledged_pieces(self, key: str, size: int, state: Any) -> Iterator[bytes] | None:
        """Return the first ``size`` bytes of an upload, None where they cannot be read."""


class Directory:
    """What the filesystem driver keeps."""

    def __init__(self, root: Path) -> None:
        """Take the storage directory."""
        self.root = root

    def object_file(self, key: str) -> Path:
        """Return where the finished object of a key lies."""
        return self.root / key

    def unfinished_file(self, key: str) -> Path:
        """Return where the unfinished bytes of a key lie."""
        return self.root / "uploads" / key.removeprefix("blobs/")

    def size(self, key: str) -> int | None:
        """Return the length of the file."""
        path = self.object_file(key)
        return path.stat().st_size if path.is_file() else None

    def pieces(self, key: str) -> Iterator[bytes]:
        """Read the file."""
        return read_pieces(self.object_file(key))

    def finished(self) -> set[str]:
        """Walk over ``blobs``."""
        return {f"blobs/{name}" for name in self._names("blobs")}

    def unfinished(self) -> set[str]:
        """Walk over ``uploads``."""
        return {f"blobs/{name}" for name in self._names("uploads")}

    def foreign(self) -> list[str]:
        """Return files beside the two areas and the mark of the layout."""
        names = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return sorted(
            str(name)
            for name in names
            if name.parts[0] not in ("blobs", "uploads") and str(name) != "layout"
        )

    def acknowledged_pieces(self, key: str, size: int, state: Any) -> Iterator[bytes] | None:
        """Read the unfinished file, or the object that a commit has already made of it."""
        for path in (self.unfinished_file(key), self.object_file(key)):
            if path.is_file():
                return read_pieces(path, size)
        return iter(())

    def _names(self, area: str) -> set[str]:
        root = self.root / area
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class Bucket:
    """What the S3 driver keeps, below a prefix that ends with a slash or is empty."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        """Take a client of boto3 that meets no faults."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def size(self, key: str) -> int | None:
        """Return the length of the object."""
        return self._objects().get(key)

    def pieces(self, key: str) -> Iterator[bytes]:
        """Fetch the object."""
        body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        yield from body.iter_chunks(PIECE_BYTES)

    def finished(self) -> set[str]:
        """List the objects below ``blobs/``."""
        return {name for name in self._objects() if name.startswith("blobs/")}

    def unfinished(self) -> set[str]:
        """List multipart uploads, and the tails below ``uploads/``."""
        listed = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix)
        multiparts = {
            found["Key"].removeprefix(self._prefix) for found in listed.get("Uploads", ())
        }
        tails = {
            f"blobs/{name.removeprefix('uploads/').rpartition('/')[0]}"
            for name in self._objects()
            if name.startswith("uploads/")
        }
        return multiparts | tails

    def foreign(self) -> list[str]:
        """Return objects beside the two areas; probes of the storage go by themselves."""
        return sorted(
            name for name in self._objects() if not name.startswith(("blobs/", "uploads/"))
        )

    def acknowledged_pieces(self, key: str, size: int, state: Any) -> Iterator[bytes] | None:
        """None: parts of an unfinished object cannot be read."""
        return None

    def _objects(self) -> dict[str, int]:
        found: dict[str, int] = {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                found[entry["Key"].removeprefix(self._prefix)] = entry["Size"]
        return found


def read_pieces(path: Path, size: int | None = None) -> Iterator[bytes]:
    """Read a file, or its first ``size`` bytes, without holding all of it."""
    left = size
    with path.open("rb") as file:
        while left is None or left > 0:
            piece = file.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece
