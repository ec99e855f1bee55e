"""The requests that the driver sends; there are no others."""

import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from secrets import token_hex
from typing import Any, TypeVar

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud.storage import Blob

from core.storage.errors import BlobMissing, StorageFailed, UploadMissing
from core.storage.gcs.connection import Connection
from core.storage.gcs.failures import reason_of, status_of, translated
from core.storage.gcs.options import GCSOptions
from core.storage.gcs.signing import LinkSigner
from core.storage.keys import join_key, parse_key
from core.storage.part_buffer import PartBuffer
from core.storage.pieces.processes import PerProcess
from core.storage.pieces.service import BlobFacts
from core.storage.pieces.state import PiecesState
from core.storage.types import StoredObject

SOURCES = 32
"""Objects that one request can compose."""

_AT_ONCE = 16
_CHUNK_BYTES = 16 << 20
"""What the SDK holds in memory of a piece that is sent from a file."""

_MARK = "roadstead-upload"
_MEDIA_TYPE = "application/octet-stream"
_CACHE_CONTROL = "private, max-age=31536000, immutable"

Given = TypeVar("Given")
Made = TypeVar("Made")


class GCSService:
    """One bucket, seen through the configured prefix. See ``PieceService``."""

    name = "gcs"

    def __init__(self, options: GCSOptions) -> None:
        """Set up the client, without a request to the bucket. Raises StorageMisconfigured."""
        self._options = options
        self._connections = PerProcess(lambda: Connection(options))
        self._signer = LinkSigner(
            f"{options.address}/{options.bucket}/", self._connections.get().credentials
        )

    def put_piece(self, key: str, piece: str, content: PartBuffer) -> None:
        """Store an object below ``uploads/``."""
        with translated("write the upload"):
            body = content.body()
            self._object(f"{self._pieces_of(key)}{piece}", _CHUNK_BYTES).upload_from_file(
                io.BytesIO(body) if isinstance(body, bytearray) else body,
                size=content.size,
                content_type=_MEDIA_TYPE,
                **self._patience,
            )

    def holds_pieces(self, key: str, state: PiecesState) -> bool:
        """Look for the newest piece."""
        *_, newest = state.names
        with translated("look for the upload"):
            return bool(self._object(f"{self._pieces_of(key)}{newest}").exists(**self._patience))

    def join(self, key: str, state: PiecesState) -> None:
        """Compose the blob, by way of larger pieces where there are many.

        A blob that is there is kept by the condition that the key has no generation yet.
        """
        begin = self._pieces_of(key)
        names = [f"{begin}{name}" for name in state.names]
        with translated("store the blob"):
            try:
                while len(names) > SOURCES:
                    groups = [names[i : i + SOURCES] for i in range(0, len(names), SOURCES)]
                    joined = [f"{begin}joined-{token_hex(12)}" for _ in groups]
                    _at_once(self._compose, zip(joined, groups, strict=True))
                    names = joined
                self._make_blob(key, names, state.mark)
            except PreconditionFailed as error:
                raise UploadMissing("The key holds a blob already; it stays.") from error
            except NotFound as error:
                raise UploadMissing("A piece of the upload is not there.") from error

    def clean(self, key: str) -> None:
        """Remove the pieces, also those that no state names."""
        self.discard(key)

    def discard(self, key: str) -> None:
        """Remove the pieces, also those that no state names."""
        with translated("remove the upload"):
            found = [piece.name for piece in self._listed(self._pieces_of(key))]
            _at_once(self._remove, found)

    def head(self, key: str) -> BlobFacts | None:
        """Get what the service knows of an object."""
        found = self._object(self._blob_name(key))
        with translated("look for the blob"):
            try:
                found.reload(**self._patience)
            except NotFound:
                return None
        return BlobFacts(found.size, str(found.generation), (found.metadata or {}).get(_MARK, ""))

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        """Get a range."""
        with translated("read the blob"):
            try:
                content: bytes = self._object(self._blob_name(key)).download_as_bytes(
                    start=start,
                    end=end - 1,
                    raw_download=True,
                    if_generation_match=int(version),
                    checksum=None,
                    **self._patience,
                )
            except NotFound as error:
                raise BlobMissing from error
        return content

    def delete(self, key: str) -> None:
        """Delete an object."""
        with translated("remove the blob"):
            self._remove(self._blob_name(key))

    def link(self, key: str, lifetime_seconds: int) -> str | None:
        """Return a signed link to this object."""
        with translated("sign a link"):
            return self._signer.link(self._blob_name(key), lifetime_seconds)

    def list_blobs(self) -> Iterator[StoredObject]:
        """List the objects below ``blobs/``."""
        with translated("list the storage"):
            for found in self._listed(f"{self._options.prefix}blobs/"):
                key = self._key_of(found.name, "blobs")
                if key is not None:
                    yield StoredObject(key, found.size, found.updated)

    def list_uploads(self, key: str | None = None) -> Iterator[StoredObject]:
        """List the objects below ``uploads/``, together where they are of one upload."""
        begin = f"{self._options.prefix}uploads/" if key is None else self._pieces_of(key)
        with translated("list the uploads"):
            pieces = groupby(
                self._listed(begin),
                key=lambda found: self._key_of(found.name.rpartition("/")[0], "uploads"),
            )
            for upload_key, group in pieces:
                if upload_key is not None:
                    found = list(group)
                    size = sum(piece.size for piece in found)
                    yield StoredObject(upload_key, size, max(piece.updated for piece in found))

    def sentence(self, error: StorageFailed) -> str:
        """Say what ``error`` means and what to look at."""
        where = f"The bucket {self._options.bucket}"
        cause = error.__cause__ or error
        status = status_of(cause)
        if status == 404:
            return f"{where} does not exist: make it, or correct ROADSTEAD_STORAGE_URL."
        if status == 401:
            return f"{where} does not accept the credentials: correct them."
        if status == 403:
            return (
                f"{where} refuses a request with these credentials: allow what "
                "docs/operations/storage.md lists, or correct the credentials."
            )
        return f"{where} cannot be used: {reason_of(cause)}."

    def _make_blob(self, key: str, names: list[str], mark: str) -> None:
        blob = self._object(self._blob_name(key))
        blob.metadata = {_MARK: mark}
        blob.cache_control = _CACHE_CONTROL
        blob.content_type = _MEDIA_TYPE
        if names:
            blob.compose(
                [self._object(name) for name in names], if_generation_match=0, **self._patience
            )
        else:
            blob.upload_from_string(
                b"", content_type=_MEDIA_TYPE, if_generation_match=0, **self._patience
            )

    def _compose(self, target_and_names: tuple[str, list[str]]) -> None:
        target, names = target_and_names
        joined = self._object(target)
        joined.content_type = _MEDIA_TYPE
        joined.compose([self._object(name) for name in names], **self._patience)

    def _remove(self, name: str) -> None:
        try:
            self._object(name).delete(**self._patience)
        except NotFound:
            return

    def _listed(self, name_prefix: str) -> Iterator[Blob]:
        connection = self._connections.get()
        return iter(connection.bucket.list_blobs(prefix=name_prefix, **self._patience))

    @property
    def _patience(self) -> dict[str, Any]:
        """How long each request may take, and when it is sent again."""
        connection = self._connections.get()
        return {"timeout": connection.timeout, "retry": connection.retry}

    def _object(self, name: str, chunk_bytes: int | None = None) -> Blob:
        return self._connections.get().bucket.blob(name, chunk_size=chunk_bytes)

    def _blob_name(self, key: str) -> str:
        parse_key(key)
        return self._options.prefix + key

    def _pieces_of(self, key: str) -> str:
        """Return what the names of all pieces of the upload for ``key`` begin with."""
        folder, name = parse_key(key)
        return f"{self._options.prefix}uploads/{folder}/{name}/"

    def _key_of(self, name: str, area: str) -> str | None:
        """Return the key that an object's name stands for, None for what is not ours."""
        begin = f"{self._options.prefix}{area}/"
        folder, _, rest = name.removeprefix(begin).partition("/")
        return join_key(folder, rest)


def _at_once(call: Callable[[Given], Made], items: Iterable[Given]) -> list[Made]:
    """Call for each item, several at once. Raises what the first failing call raised."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(call, items))
