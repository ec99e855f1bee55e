"""Trying a bucket out with every kind of request that the driver sends, on a small object."""

from contextlib import suppress
from secrets import token_hex

from botocore.exceptions import BotoCoreError, ClientError

from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageMisconfigured, UploadMissing
from core.storage.s3.bucket import Bucket
from core.storage.s3.failures import code_of, reason_of

_BYTES = b"probe"


def probe(bucket: Bucket) -> None:
    """Raise StorageMisconfigured with a sentence on the first thing that does not work."""
    name = f"{bucket.options.prefix}probe/{token_hex(16)}"
    try:
        _try_out(bucket, name)
    except StorageFailed as error:
        raise StorageMisconfigured(_sentence(bucket, error.__cause__ or error)) from error
    finally:
        # A bucket that refuses this holds no probe either, and the fault that matters is on
        # its way to the caller.
        with suppress(DomainError):
            bucket.delete(name)


def _try_out(bucket: Bucket, name: str) -> None:
    options = bucket.options
    if bucket.head(name) is not None:
        raise StorageMisconfigured(f"Every key seems to exist in the bucket {options.bucket}.")
    if options.has_conditional_writes:
        is_first, is_second = (bucket.put_new(name, _BYTES, mark) for mark in ("one", "two"))
        facts = bucket.head(name)
        if is_second or facts is None or facts.mark != ("one" if is_first else None):
            raise StorageMisconfigured(
                f"The service behind the bucket {options.bucket} replaces an object although "
                "it is asked not to (If-None-Match), or forgets the metadata of objects: set "
                "ROADSTEAD_S3_CONDITIONAL_WRITES to false."
            )
    else:
        bucket.put(name, _BYTES)
    found = bucket.get(name, 1, 3)
    if found is None or found[1].size != 2 or found[0].read() != _BYTES[1:3]:
        raise StorageMisconfigured(
            f"The service behind the bucket {options.bucket} does not answer ranges."
        )
    multipart_id = bucket.create_multipart(name, "probe")
    try:
        bucket.upload_part(name, multipart_id, 1, _BYTES)
    except UploadMissing as error:
        raise StorageMisconfigured(
            f"The service behind the bucket {options.bucket} loses multipart uploads."
        ) from error
    finally:
        bucket.abort_multipart(name, multipart_id)
    for listing in (bucket.list_objects(name), bucket.list_multiparts(name)):
        next(listing, None)
    bucket.delete(name)


def _sentence(bucket: Bucket, cause: BaseException) -> str:
    """Say what is wrong and what to look at."""
    where = f"The bucket {bucket.options.bucket}"
    if isinstance(cause, ClientError):
        code = code_of(cause)
        operation = cause.operation_name
        if code == "NoSuchBucket":
            return f"{where} does not exist: make it, or correct ROADSTEAD_STORAGE_URL."
        if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"):
            return f"{where} does not accept the credentials ({code}): correct them."
        if code == "RequestTimeTooSkewed":
            return f"{where} finds that the clock of this machine is wrong: set it right."
        if code in ("403", "AccessDenied", "AllAccessDisabled"):
            return (
                f"{where} refuses {operation} with these credentials: allow what "
                "docs/operations/storage.md lists, or correct the credentials."
            )
        if code in ("301", "PermanentRedirect", "AuthorizationHeaderMalformed"):
            return f"{where} is in another region: set ROADSTEAD_S3_REGION to it."
        return f"{where} answered {operation} with {reason_of(cause)}."
    if isinstance(cause, BotoCoreError):
        return f"{where} cannot be used: {reason_of(cause)}"
    return f"{where} cannot be used: {cause}"
