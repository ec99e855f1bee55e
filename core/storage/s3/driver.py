"""The driver: uploads and blobs in one bucket."""

from collections.abc import Iterator
from itertools import groupby

from core.storage.errors import UploadMissing
from core.storage.keys import join_key
from core.storage.part_buffer import BufferMemory
from core.storage.s3 import committing, probing
from core.storage.s3.bucket import Bucket, ListedObject
from core.storage.s3.connection import Connection
from core.storage.s3.options import S3Options
from core.storage.s3.reader import S3BlobReader
from core.storage.s3.signing import LinkSigner
from core.storage.s3.state import S3State
from core.storage.s3.writer import S3UploadWriter
from core.storage.types import StoredObject, UploadState


class S3Driver:
    """Keeps uploads and blobs in a bucket. See ``StorageDriver``.

    One difference: a reader whose blob is deleted fails at its next request to the service.
    """

    reads_are_quick = False

    def __init__(self, options: S3Options) -> None:
        """Set up the clients, without a request. Raises StorageMisconfigured."""
        self.least_chunk_bytes: int | None = options.schedule.minimum_bytes
        self._bucket = Bucket(options, Connection(options))
        self._memory = BufferMemory(options.buffer_memory_bytes)
        self._signer = LinkSigner(self._bucket)

    def start(self, key: str) -> UploadState:
        """Begin an upload. The first request comes with its first bytes."""
        self._bucket.blob_name(key)
        return S3State().to_json()

    def open_writer(self, key: str, state: UploadState, size: int) -> S3UploadWriter:
        """Look whether the newest bytes are there; parts are taken on trust."""
        name = self._bucket.blob_name(key)
        known = _of_size(state, size)
        if size == 0:
            if self._bucket.head(name) is not None:
                raise UploadMissing("The upload is committed already.")
        elif known.tails:
            tail = known.tails[-1]
            facts = self._bucket.head(self._bucket.tail_name(key, tail.name))
            if facts is None or facts.size != tail.size:
                raise UploadMissing
        return S3UploadWriter(self._bucket, key, known, self._memory)

    def commit(self, key: str, state: UploadState, size: int) -> None:
        """Complete the multipart upload, or store a small blob with one request."""
        self._bucket.blob_name(key)
        committing.commit(self._bucket, key, _of_size(state, size), self._memory)

    def abort(self, key: str, state: UploadState) -> None:
        """Drop all multipart uploads and tails of ``key``, also those no state names."""
        name = self._bucket.blob_name(key)
        known = S3State.from_json(state)
        multipart_ids = {
            found.multipart_id for found in self._bucket.list_multiparts(name) if found.name == name
        }
        # Not every service lists them.
        if known.multipart_id:
            multipart_ids.add(known.multipart_id)
        for multipart_id in multipart_ids:
            self._bucket.abort_multipart(name, multipart_id)
        for tail in self._bucket.list_objects(self._bucket.tails_of(key)):
            self._bucket.delete(tail.name)

    def open_blob(self, key: str) -> S3BlobReader:
        """Open a blob. Raises BlobMissing."""
        return S3BlobReader(self._bucket, self._bucket.blob_name(key))

    def stat(self, key: str) -> int | None:
        """Return the size of a blob, None when there is none."""
        facts = self._bucket.head(self._bucket.blob_name(key))
        return None if facts is None else facts.size

    def delete(self, key: str) -> None:
        """Remove a blob."""
        self._bucket.delete(self._bucket.blob_name(key))

    def redirect_url(self, key: str, *, lifetime_seconds: int) -> str | None:
        """Return a link to the bytes at the service; None without credentials."""
        return self._signer.link(self._bucket.blob_name(key), lifetime_seconds)

    def list_blobs(self) -> Iterator[StoredObject]:
        """Walk over the blobs."""
        for found in self._bucket.list_objects(f"{self._bucket.options.prefix}blobs/"):
            key = self._key_of(found.name, "blobs")
            if key is not None:
                yield StoredObject(key, found.size, found.changed_at)

    def list_uploads(self) -> Iterator[StoredObject]:
        """Walk over the uploads that have parts or tails; the bytes of parts are not counted."""
        prefix = self._bucket.options.prefix
        multiparts: dict[str, ListedObject] = {}
        for found in self._bucket.list_multiparts(f"{prefix}blobs/"):
            key = self._key_of(found.name, "blobs")
            if key is not None:
                multiparts[key] = found
        tails = self._bucket.list_objects(f"{prefix}uploads/")
        for key, group in groupby(
            tails, key=lambda found: self._key_of(found.name.rpartition("/")[0], "uploads")
        ):
            if key is None:
                continue
            objects = list(group)
            if key in multiparts:
                objects.append(multiparts.pop(key))
            size = sum(found.size for found in objects)
            yield StoredObject(key, size, max(found.changed_at for found in objects))
        for key, found in multiparts.items():
            yield StoredObject(key, 0, found.changed_at)

    def free_bytes(self) -> int | None:
        """None: a bucket has no end that anybody knows."""
        return None

    def total_bytes(self) -> int | None:
        """None, for the same reason."""
        return None

    def check(self) -> None:
        """Try every kind of request out."""
        probing.probe(self._bucket)

    def _key_of(self, name: str, area: str) -> str | None:
        """Return the key that an object's name stands for, None for what is not ours."""
        begin = f"{self._bucket.options.prefix}{area}/"
        if not name.startswith(begin):
            return None
        folder, _, rest = name.removeprefix(begin).partition("/")
        return join_key(folder, rest)


def _of_size(state: UploadState, size: int) -> S3State:
    """Read a state back; raises UploadMissing unless it is the one that went with ``size``."""
    known = S3State.from_json(state)
    if known.size != size:
        raise UploadMissing(f"The storage holds {known.size} of the upload's {size} bytes.")
    return known
