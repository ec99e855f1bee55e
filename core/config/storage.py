"""The settings of the blob storage: a directory, or a bucket."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.config.clouds import ADDRESS, AzureSettings, GCSSettings, read_azure, read_gcs
from core.config.reader import Reader

_NAME = "STORAGE_NAME"
_DIRECTORY = "STORAGE_DIR"
_URL = "STORAGE_URL"

_BUCKET_URL = r"(s3|gs|azure)://[A-Za-z0-9][A-Za-z0-9._-]{1,62}(/[A-Za-z0-9][A-Za-z0-9._-]*)*/?"
_PREFIXES = {"s3": "S3_", "gs": "GCS_", "azure": "AZURE_"}
"""What the settings begin with that go with the addresses of a scheme."""

_ADDRESS_RULE = "be an address such as https://s3.example.org, without a path"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket behind the S3 protocol; None leaves a thing to the SDK."""

    bucket: str
    prefix: str
    """Put before every key; empty, or ends with a slash."""
    endpoint_url: str | None
    public_endpoint_url: str | None
    region: str | None
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    addressing: str
    ca_bundle: Path | None
    encryption: str | None
    kms_key_id: str | None
    storage_class: str | None
    has_conditional_writes: bool


BucketSettings = S3Settings | GCSSettings | AzureSettings


@dataclass(frozen=True, slots=True)
class FormerStorage:
    """A storage whose content is moved to the current one."""

    name: str
    directory: Path
    bucket: BucketSettings | None
    """None: content is kept in the directory."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the content of blobs is kept."""

    name: str
    """What rows of content in this storage say."""
    directory: Path
    bucket: BucketSettings | None
    """None: content is kept in the directory."""
    redirects: bool
    """Clients are sent to the bucket for the bytes of blobs."""
    accel_prefix: str
    """Location under which nginx finds the storage directory; empty: it does not."""
    minimum_free_bytes: int
    """Writes are refused when the file system has less than this left."""
    former: FormerStorage | None
    scrub_days: int
    """Days within which all content is compared with its digests; 0: never."""
    scrub_megabytes_per_second: int


def read_storage(reader: Reader, data_dir: Path) -> StorageSettings:
    """Read the settings of the storage, and refuse those that do not go together."""
    directory = reader.path(
        _DIRECTORY,
        default=data_dir / "storage",
        meaning="Directory of the content of blobs; by default inside the data directory.",
    )
    accel_prefix = reader.matching(
        "STORAGE_ACCEL_PREFIX",
        default="",
        pattern=r"/([A-Za-z0-9_-][A-Za-z0-9._-]*/)+",
        rule="begin and end with a slash, such as /_blobs/",
        meaning="Internal location of nginx at which it finds the storage directory.",
    )
    minimum_free_bytes = reader.integer(
        "MINIMUM_FREE_BYTES",
        default=1 << 30,
        minimum=0,
        maximum=1 << 50,
        meaning="Uploads are refused when the file system has fewer bytes left.",
    )
    name = _name(reader, "Name of the storage in rows; a new storage needs a new name.")
    url = _url(reader, "Bucket to keep the content of blobs in, instead of a directory.")
    redirects = reader.boolean(
        "STORAGE_REDIRECT",
        default=True,
        meaning="Send clients to the bucket for the bytes of blobs instead of passing them on.",
    )
    bucket = _bucket(reader, url)
    _refuse_both(reader, url)
    if url and accel_prefix:
        reader.refuse(
            f"{reader.full_name('STORAGE_ACCEL_PREFIX')} has no effect on a bucket: unset it, or "
            f"unset {reader.full_name(_URL)}."
        )
    former = _former(reader.below("FORMER_"), name)
    _refuse_same_place(reader, former, directory, bucket)
    return StorageSettings(
        name=name,
        directory=directory,
        bucket=bucket,
        redirects=redirects,
        accel_prefix=accel_prefix,
        minimum_free_bytes=minimum_free_bytes,
        former=former,
        scrub_days=reader.integer(
            "SCRUB_DAYS",
            default=30,
            minimum=0,
            maximum=3650,
            meaning="Days within which all content is compared with its digests; 0: never.",
        ),
        scrub_megabytes_per_second=reader.integer(
            "SCRUB_MEGABYTES_PER_SECOND",
            default=50,
            minimum=1,
            maximum=100_000,
            meaning="Megabytes (of 1,000,000 bytes) per second that this reads at most.",
        ),
    )


def _refuse_same_place(
    reader: Reader, former: FormerStorage | None, directory: Path, bucket: BucketSettings | None
) -> None:
    if former is None or not _is_same_place(former, directory, bucket):
        return
    variable = _URL if former.bucket else _DIRECTORY
    reader.refuse(
        f"{reader.full_name(f'FORMER_{variable}')} leads to the current storage: name another "
        "one, or unset it. If only the name is another one now, see `roadstead storage rename`."
    )


def _former(reader: Reader, current_name: str) -> FormerStorage | None:
    """Read the settings of the storage that content comes from.

    They are those of any storage with ``FORMER_`` before them; ``reader`` adds that.
    """
    name = _name(reader, "Name that the former storage had.")
    directory = reader.text(
        _DIRECTORY, default="", meaning="Directory whose content moves to the storage."
    )
    url = _url(reader, "Bucket whose content moves to the storage.")
    bucket = _bucket(reader, url)
    _refuse_both(reader, url)
    if not url and not directory:
        if reader.is_set(_NAME):
            reader.refuse(
                f"{reader.full_name(_NAME)} has no effect: set {reader.full_name(_URL)} or "
                f"{reader.full_name(_DIRECTORY)}, or unset it."
            )
        return None
    if name == current_name:
        reader.refuse(
            f"The storage and the former one are both called {name}: give the new one a name "
            "of its own, by which rows can tell them apart."
        )
    return FormerStorage(name, Path(directory).expanduser().absolute(), bucket)


def _is_same_place(former: FormerStorage, directory: Path, bucket: BucketSettings | None) -> bool:
    """Tell whether the former storage is the current one, by whatever way it is reached."""
    if former.bucket is not None and bucket is not None:
        return _place(former.bucket) == _place(bucket)
    if former.bucket is not None or bucket is not None:
        return False
    try:
        # Knows links, and directories that are mounted twice.
        return former.directory.samefile(directory)
    except OSError:
        return former.directory.resolve() == directory.resolve()


def _place(bucket: BucketSettings) -> tuple[str | None, ...]:
    """Return what sets a bucket and its prefix apart from all others."""
    if isinstance(bucket, GCSSettings):
        # Names of buckets are taken once in the world.
        return ("gs", bucket.bucket, bucket.prefix)
    if isinstance(bucket, AzureSettings):
        public = f"https://{bucket.account}.blob.core.windows.net"
        address = bucket.endpoint_url or public
        return ("azure", address.lower(), bucket.account, bucket.container, bucket.prefix)
    address = (bucket.endpoint_url or "").lower()
    is_aws = not address or address.partition(":443")[0].endswith(".amazonaws.com")
    return ("s3", None if is_aws else address, bucket.bucket, bucket.prefix)


def _name(reader: Reader, meaning: str) -> str:
    return reader.matching(
        _NAME,
        default="main",
        pattern=r"[a-z0-9][a-z0-9-]{0,31}",
        rule="begin with a lowercase letter or digit and hold at most 32 of these or -",
        meaning=meaning,
    )


def _url(reader: Reader, meaning: str) -> str:
    return reader.matching(
        _URL,
        default="",
        pattern=_BUCKET_URL,
        rule="look like s3://bucket, gs://bucket or azure://container, or go on with /prefix",
        meaning=meaning,
    )


def _refuse_both(reader: Reader, url: str) -> None:
    if url and reader.is_set(_DIRECTORY):
        reader.refuse(
            f"{reader.full_name(_URL)} and {reader.full_name(_DIRECTORY)} are both set: "
            "unset one of them."
        )


def _bucket(reader: Reader, url: str) -> BucketSettings | None:
    """Read the settings of all kinds of buckets, and return those of the one in use."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.rstrip("/").partition("/")
    prefix = f"{path}/" if path else ""
    by_scheme: dict[str, BucketSettings] = {
        "s3": _s3(reader, bucket, prefix),
        "gs": read_gcs(reader, bucket, prefix),
        "azure": read_azure(reader, bucket, prefix, is_used=scheme == "azure"),
    }
    _refuse_unused(reader, scheme)
    return by_scheme.get(scheme)


def _refuse_unused(reader: Reader, used: str) -> None:
    """Refuse settings that go with another kind of bucket, or with none."""
    if not used and reader.is_set(_URL):
        return
    for scheme, begin in _PREFIXES.items():
        names = [name for name in reader.names() if name.startswith(begin) and reader.is_set(name)]
        if names and scheme != used:
            to_what = f" to {scheme}://..." if used else ""
            reader.refuse(
                f"{reader.full_name(names[0])} has no effect: set "
                f"{reader.full_name(_URL)}{to_what}, or unset it."
            )


def options_of(bucket: BucketSettings | None, kind: type[BucketSettings]) -> dict[str, Any] | None:
    """Return the fields of a bucket of this kind, None when it is not one."""
    return asdict(bucket) if bucket is not None and isinstance(bucket, kind) else None


def _s3(reader: Reader, bucket: str, prefix: str) -> S3Settings:
    settings = S3Settings(
        bucket=bucket,
        prefix=prefix,
        endpoint_url=_address(reader, "S3_ENDPOINT", "Address of the S3 service; unset: AWS."),
        public_endpoint_url=_address(
            reader,
            "S3_PUBLIC_ENDPOINT",
            "Address under which clients reach the service; unset: S3_ENDPOINT.",
        ),
        region=_text(reader, "S3_REGION", "Region of the bucket."),
        access_key_id=_text(
            reader, "S3_ACCESS_KEY_ID", "Access key; unset: what the AWS SDK finds by itself."
        ),
        secret_access_key=reader.secret(
            "S3_SECRET_ACCESS_KEY", minimum_length=1, meaning="Secret of the access key."
        ),
        addressing=reader.choice(
            "S3_ADDRESSING",
            default="auto",
            choices=("auto", "path", "virtual"),
            meaning="Where addresses name the bucket: path, virtual (the host name) or auto.",
        ),
        ca_bundle=_file(
            reader, "S3_CA_BUNDLE", "File of the certificates that the service's is checked with."
        ),
        encryption=_encryption(reader),
        kms_key_id=_text(reader, "S3_KMS_KEY_ID", "Key for the encryption aws:kms."),
        storage_class=_storage_class(reader),
        has_conditional_writes=reader.boolean(
            "S3_CONDITIONAL_WRITES",
            default=True,
            meaning="The service honours If-None-Match when it stores an object.",
        ),
    )
    if bucket:
        _refuse_combinations(reader, settings)
    return settings


def _refuse_combinations(reader: Reader, bucket: S3Settings) -> None:
    pair = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    if (bucket.access_key_id is None) != (bucket.secret_access_key is None):
        missing = pair[bucket.access_key_id is not None]
        other = pair[bucket.access_key_id is None]
        if not reader.is_set(missing):
            reader.refuse(
                f"{reader.full_name(other)} is set without {reader.full_name(missing)}: "
                "set both or none."
            )
    if bucket.kms_key_id is not None and bucket.encryption != "aws:kms":
        reader.refuse(
            f"{reader.full_name('S3_KMS_KEY_ID')} has no effect: set "
            f"{reader.full_name('S3_ENCRYPTION')} to aws:kms, or unset it."
        )


def _text(reader: Reader, name: str, meaning: str) -> str | None:
    return reader.text(name, default="", meaning=meaning) or None


def _address(reader: Reader, name: str, meaning: str) -> str | None:
    address = reader.matching(
        name, default="", pattern=ADDRESS, rule=_ADDRESS_RULE, meaning=meaning
    )
    return address or None


def _file(reader: Reader, name: str, meaning: str) -> Path | None:
    path = reader.text(name, default="", meaning=meaning)
    if not path:
        return None
    if not Path(path).expanduser().is_file():
        reader.refuse(f"{reader.full_name(name)} cannot be {path!r}: name a file that exists.")
    return Path(path).expanduser().absolute()


def _encryption(reader: Reader) -> str | None:
    chosen = reader.choice(
        "S3_ENCRYPTION",
        default="none",
        choices=("none", "aes256", "aws:kms"),
        meaning="Encryption to ask the service for: none, aes256 or aws:kms.",
    )
    return {"aes256": "AES256", "aws:kms": "aws:kms"}.get(chosen)


def _storage_class(reader: Reader) -> str | None:
    name = reader.matching(
        "S3_STORAGE_CLASS",
        default="",
        pattern=r"[A-Z][A-Z0-9_-]{0,63}",
        rule="be the name of a storage class, such as STANDARD_IA",
        meaning="Storage class of blobs; it must allow reading at once.",
    )
    return name or None
