"""The requests that the driver sends; there are no others.

Names are keys of the caller with the configured prefix in front. Failures leave as domain
errors, but for the few that say something about an object.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from botocore.exceptions import ClientError

from core.storage.errors import StorageFailed, UploadMissing
from core.storage.keys import parse_key
from core.storage.s3.connection import Connection
from core.storage.s3.failures import (
    CONFLICT,
    EXISTS,
    MISSING,
    code_of,
    pause_seconds,
    translated,
)
from core.storage.s3.options import S3Options
from core.storage.s3.state import WHOLE, Part

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import (
        CompleteMultipartUploadRequestTypeDef,
        CreateMultipartUploadRequestTypeDef,
        GetObjectRequestTypeDef,
        PutObjectRequestTypeDef,
    )

Body = bytes | bytearray | IO[bytes]

_MARK = "roadstead-upload"
_MEDIA_TYPE = "application/octet-stream"


class ObjectFacts(NamedTuple):
    """What the service says of one object. ``mark`` is None when another program made it."""

    size: int
    etag: str
    mark: str | None


class ListedObject(NamedTuple):
    """One object or one multipart upload of a listing; a multipart upload counts no bytes."""

    name: str
    size: int
    changed_at: datetime
    multipart_id: str = ""


class Bucket:
    """One bucket, seen through the configured prefix. Any number of threads may use it."""

    def __init__(self, options: S3Options, connection: Connection) -> None:
        self.options = options
        self.connection = connection
        self._name = options.bucket

    def blob_name(self, key: str) -> str:
        """Return the name of the object under ``key``; raises StorageKeyInvalid."""
        parse_key(key)
        return self.options.prefix + key

    def tail_name(self, key: str, tail: str) -> str:
        """Return the name of one tail of the upload for ``key``."""
        return self.blob_name(key) if tail == WHOLE else f"{self.tails_of(key)}tail.{tail}"

    def tails_of(self, key: str) -> str:
        """Return what the names of all tails of the upload for ``key`` begin with."""
        folder, name = parse_key(key)
        return f"{self.options.prefix}uploads/{folder}/{name}/"

    def head(self, name: str) -> ObjectFacts | None:
        """Look an object up; None when there is none."""
        with translated("look for the blob"):
            try:
                answer = self._patient.head_object(Bucket=self._name, Key=name)
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise
        mark = answer.get("Metadata", {}).get(_MARK)
        return ObjectFacts(answer["ContentLength"], answer["ETag"], mark)

    def get(
        self, name: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> tuple["StreamingBody", ObjectFacts] | None:
        """Ask for the bytes from ``start`` up to, without, ``end``; None: no such object.

        The facts are those of the answer: the size of a range is that of the range. With
        ``etag`` only the object that has it is answered, StorageFailed otherwise.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._name, "Key": name}
        if start or end is not None:
            request["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
        if etag is not None:
            request["IfMatch"] = etag
        with translated("read the blob"):
            try:
                answer = self._patient.get_object(**request)
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise
        mark = answer.get("Metadata", {}).get(_MARK)
        facts = ObjectFacts(answer["ContentLength"], answer["ETag"], mark)
        return answer["Body"], facts

    def put(self, name: str, body: Body) -> None:
        """Store an object that is not a blob."""
        with translated("store the bytes"):
            self._patient.put_object(**self._encrypted(name, body))

    def put_new(self, name: str, body: Body, mark: str) -> bool:
        """Store a blob with one request; False when the name is taken.

        Of several writers only the first gets through. A request that was sent again after
        its answer got lost finds the name taken by itself: compare the mark.
        """
        request: PutObjectRequestTypeDef = {
            **self._encrypted(name, body),
            "ContentType": _MEDIA_TYPE,
            "Metadata": {_MARK: mark},
            "IfNoneMatch": "*",
        }
        if self.options.storage_class is not None:
            request["StorageClass"] = self.options.storage_class  # type: ignore[typeddict-item]
        with translated("store the blob"):
            for attempt in range(self.options.attempts):
                if not isinstance(body, (bytes, bytearray)):
                    body.seek(0)
                try:
                    self._patient.put_object(**request)
                except ClientError as error:
                    if code_of(error) in EXISTS:
                        return False
                    if code_of(error) not in CONFLICT:
                        raise
                    # Another request for this name is under way.
                    time.sleep(pause_seconds(attempt))
                else:
                    return True
        raise StorageFailed(retry_after_seconds=5)

    def delete(self, name: str) -> None:
        """Remove an object; one that is missing counts as removed."""
        with translated("remove the blob"):
            try:
                self._patient.delete_object(Bucket=self._name, Key=name)
            except ClientError as error:
                if code_of(error) not in MISSING:
                    raise

    def create_multipart(self, name: str, mark: str) -> str:
        """Begin a multipart upload and return its id."""
        request: CreateMultipartUploadRequestTypeDef = {
            "Bucket": self._name,
            "Key": name,
            "ContentType": _MEDIA_TYPE,
            "Metadata": {_MARK: mark},
        }
        options = self.options
        if options.encryption is not None:
            request["ServerSideEncryption"] = options.encryption  # type: ignore[typeddict-item]
        if options.kms_key_id is not None:
            request["SSEKMSKeyId"] = options.kms_key_id
        if options.storage_class is not None:
            request["StorageClass"] = options.storage_class  # type: ignore[typeddict-item]
        with translated("begin the upload"):
            return self._patient.create_multipart_upload(**request)["UploadId"]

    def upload_part(self, name: str, multipart_id: str, number: int, body: Body) -> str:
        """Store one part and return its ETag. Raises UploadMissing when the upload is gone."""
        with translated("write the upload"):
            answer = self._patient.upload_part(
                Bucket=self._name,
                Key=name,
                UploadId=multipart_id,
                PartNumber=number,
                Body=_sendable(body),
            )
        return answer["ETag"]

    def complete(
        self, name: str, multipart_id: str, parts: list[Part], *, may_replace: bool
    ) -> None:
        """Ask once to turn the parts into the object.

        Whatever is raised may hide a success: look before asking again. Raises UploadMissing
        when the multipart upload is gone or the name is taken.
        """
        request: CompleteMultipartUploadRequestTypeDef = {
            "Bucket": self._name,
            "Key": name,
            "UploadId": multipart_id,
            "MultipartUpload": {
                "Parts": [
                    {"PartNumber": number, "ETag": part.etag}
                    for number, part in enumerate(parts, start=1)
                ]
            },
        }
        if self.options.has_conditional_writes and not may_replace:
            request["IfNoneMatch"] = "*"
        with translated("store the blob"):
            try:
                self.connection.clients.impatient.complete_multipart_upload(**request)
            except ClientError as error:
                if code_of(error) in EXISTS:
                    raise UploadMissing("The key holds other bytes already; they stay.") from error
                raise

    def abort_multipart(self, name: str, multipart_id: str) -> None:
        """Drop a multipart upload with its parts; one that is gone counts as dropped."""
        with translated("remove the upload"):
            try:
                self._patient.abort_multipart_upload(
                    Bucket=self._name, Key=name, UploadId=multipart_id
                )
            except ClientError as error:
                if code_of(error) not in MISSING | {"NoSuchUpload"}:
                    raise

    def list_objects(self, name_prefix: str) -> Iterator[ListedObject]:
        """Walk over the objects whose names begin so, in the order of names."""
        pages = self._patient.get_paginator("list_objects_v2")
        with translated("list the storage"):
            for page in pages.paginate(Bucket=self._name, Prefix=name_prefix):
                for entry in page.get("Contents", ()):
                    changed_at = entry["LastModified"].astimezone(UTC)
                    yield ListedObject(entry["Key"], entry["Size"], changed_at)

    def list_multiparts(self, name_prefix: str) -> Iterator[ListedObject]:
        """Walk over the unfinished multipart uploads to names that begin so."""
        pages = self._patient.get_paginator("list_multipart_uploads")
        with translated("list the uploads"):
            for page in pages.paginate(Bucket=self._name, Prefix=name_prefix):
                for entry in page.get("Uploads", ()):
                    begun_at = entry["Initiated"].astimezone(UTC)
                    yield ListedObject(entry["Key"], 0, begun_at, entry["UploadId"])

    @property
    def _patient(self) -> "S3Client":
        return self.connection.clients.patient

    def _encrypted(self, name: str, body: Body) -> "PutObjectRequestTypeDef":
        request: PutObjectRequestTypeDef = {
            "Bucket": self._name,
            "Key": name,
            "Body": _sendable(body),
        }
        if self.options.encryption is not None:
            request["ServerSideEncryption"] = self.options.encryption  # type: ignore[typeddict-item]
        if self.options.kms_key_id is not None:
            request["SSEKMSKeyId"] = self.options.kms_key_id
        return request


def _sendable(body: Body) -> bytes | IO[bytes]:
    """Hide that a body may be a bytearray: the SDK sends one uncopied, its types know of none."""
    return cast("bytes | IO[bytes]", body)
