"""The settings of the buckets of two clouds."""

from dataclasses import dataclass, field

from core.config.reader import Reader

ADDRESS = r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"


@dataclass(frozen=True, slots=True)
class GCSSettings:
    """A bucket of Google Cloud Storage; None leaves a thing to the SDK."""

    bucket: str
    prefix: str
    """Put before every name; empty, or ends with a slash."""
    credentials: str | None = field(repr=False)
    endpoint_url: str | None


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """A container of Azure Blob Storage; None leaves a thing to the SDK."""

    container: str
    prefix: str
    """Put before every name; empty, or ends with a slash."""
    account: str
    account_key: str | None = field(repr=False)
    endpoint_url: str | None


def read_gcs(reader: Reader, bucket: str, prefix: str) -> GCSSettings:
    """Read what goes with a bucket."""
    return GCSSettings(
        bucket=bucket,
        prefix=prefix,
        credentials=reader.secret(
            "GCS_CREDENTIALS",
            minimum_length=1,
            meaning="Key of a service account, as JSON; unset: what the SDK finds by itself.",
        ),
        endpoint_url=reader.matching(
            "GCS_ENDPOINT",
            default="",
            pattern=ADDRESS,
            rule="be an address such as https://storage.example.org, without a path",
            meaning="Address of Google Cloud Storage; unset: the public one.",
        )
        or None,
    )


def read_azure(reader: Reader, container: str, prefix: str, *, is_used: bool) -> AzureSettings:
    """Read what goes with a container, and refuse one without an account."""
    account = reader.matching(
        "AZURE_ACCOUNT",
        default="",
        pattern=r"[a-z0-9]{3,24}",
        rule="be the name of a storage account: 3 to 24 lowercase letters and digits",
        meaning="Storage account of the container.",
    )
    if is_used and not account and not reader.is_set("AZURE_ACCOUNT"):
        reader.refuse(
            f"{reader.full_name('AZURE_ACCOUNT')} is not set: name the storage account of the "
            "container."
        )
    return AzureSettings(
        container=container,
        prefix=prefix,
        account=account,
        account_key=reader.secret(
            "AZURE_ACCOUNT_KEY",
            minimum_length=1,
            meaning="Key of the account; unset: the identity that the Azure SDK finds by itself.",
        ),
        endpoint_url=reader.matching(
            "AZURE_ENDPOINT",
            default="",
            pattern=f"({ADDRESS})(/[a-z0-9]{{3,24}})?",
            rule="be an address such as https://account.blob.example.org",
            meaning="Address of the account's blob service; unset: the one of the public cloud.",
        )
        or None,
    )
