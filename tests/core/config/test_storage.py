"""The settings of the storage: a directory, or a bucket and what goes with it."""

from dataclasses import asdict
from pathlib import Path

import pytest

from core.config.clouds import AzureSettings, GCSSettings
from core.config.env import ConfigurationError, load
from core.config.reader import MASK
from core.config.storage import S3Settings, StorageSettings, options_of
from core.storage.azure.options import AzureOptions
from core.storage.gcs.options import GCSOptions
from core.storage.s3.options import S3Options

pytestmark = pytest.mark.pure

BUCKET = {"STORAGE_URL": "s3://blobs"}
FORMER = {"STORAGE_NAME": "new", "FORMER_STORAGE_URL": "s3://before/registry"}


def storage(**variables: str) -> StorageSettings:
    return load({f"ROADSTEAD_{name}": value for name, value in variables.items()}).storage


def bucket(**variables: str) -> S3Settings:
    found = storage(**BUCKET | variables).bucket
    assert isinstance(found, S3Settings)
    return found


def faults(**variables: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        storage(**variables)
    return caught.value.faults


def test_a_directory_unless_a_bucket_is_named() -> None:
    assert storage().bucket is None
    assert storage().redirects
    assert not storage(STORAGE_REDIRECT="false").redirects


def test_a_location_of_nginx() -> None:
    assert storage().accel_prefix == ""
    assert storage(STORAGE_ACCEL_PREFIX="/_blobs/").accel_prefix == "/_blobs/"
    for prefix in ("_blobs/", "/_blobs", "/", "//", "/../", "/a b/", "/a/?/"):
        assert faults(STORAGE_ACCEL_PREFIX=prefix) == (
            f"ROADSTEAD_STORAGE_ACCEL_PREFIX cannot be {prefix!r}: "
            "it must begin and end with a slash, such as /_blobs/.",
        )
    assert faults(STORAGE_ACCEL_PREFIX="/_blobs/", STORAGE_URL="s3://blobs") == (
        "ROADSTEAD_STORAGE_ACCEL_PREFIX has no effect on a bucket: unset it, or "
        "unset ROADSTEAD_STORAGE_URL.",
    )


@pytest.mark.parametrize(
    ("url", "name", "prefix"),
    [
        ("s3://blobs", "blobs", ""),
        ("s3://blobs/", "blobs", ""),
        ("s3://blobs/one", "blobs", "one/"),
        ("s3://blobs.example.org/one/two_2/", "blobs.example.org", "one/two_2/"),
    ],
)
def test_bucket_and_prefix(url: str, name: str, prefix: str) -> None:
    found = bucket(STORAGE_URL=url)
    assert (found.bucket, found.prefix) == (name, prefix)


@pytest.mark.parametrize(
    "url",
    ["blobs", "s3:blobs", "s3://", "s3://a", "gs://", "gcs://blobs", "s3://blobs//x", "s3://b b/"],
)
def test_addresses_that_name_no_bucket(url: str) -> None:
    assert faults(STORAGE_URL=url) == (
        f"ROADSTEAD_STORAGE_URL cannot be {url!r}: "
        "it must look like s3://bucket, gs://bucket or azure://container, or go on with /prefix.",
    )


def test_everything_of_a_bucket(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("certificates")
    secret = tmp_path / "secret"
    secret.write_text("not shown\n")
    found = bucket(
        S3_ENDPOINT="https://s3.example.org:9000",
        S3_PUBLIC_ENDPOINT="https://files.example.org",
        S3_REGION="eu-central-1",
        S3_ACCESS_KEY_ID="key",
        S3_SECRET_ACCESS_KEY_FILE=str(secret),
        S3_ADDRESSING="virtual",
        S3_CA_BUNDLE=str(certificates),
        S3_ENCRYPTION="aws:kms",
        S3_KMS_KEY_ID="key-1",
        S3_STORAGE_CLASS="STANDARD_IA",
        S3_CONDITIONAL_WRITES="false",
    )
    assert found == S3Settings(
        bucket="blobs",
        prefix="",
        endpoint_url="https://s3.example.org:9000",
        public_endpoint_url="https://files.example.org",
        region="eu-central-1",
        access_key_id="key",
        secret_access_key="not shown",
        addressing="virtual",
        ca_bundle=certificates,
        encryption="aws:kms",
        kms_key_id="key-1",
        storage_class="STANDARD_IA",
        has_conditional_writes=False,
    )
    assert "not shown" not in repr(found)


def test_the_driver_takes_all_of_it() -> None:
    options = S3Options(**asdict(bucket(S3_ENCRYPTION="AES256")))
    assert options.encryption == "AES256"
    assert options.endpoint_url is None


def test_a_bucket_of_google() -> None:
    found = storage(
        STORAGE_URL="gs://blobs/one",
        GCS_CREDENTIALS='{"private_key": "not shown"}',
        GCS_ENDPOINT="https://storage.example.org",
    ).bucket
    assert found == GCSSettings(
        "blobs", "one/", '{"private_key": "not shown"}', "https://storage.example.org"
    )
    assert "not shown" not in repr(found)
    assert options_of(found, S3Settings) is None
    fields = options_of(storage(STORAGE_URL="gs://blobs").bucket, GCSSettings)
    assert fields is not None
    assert GCSOptions(**fields).address == "https://storage.googleapis.com"


def test_a_container_of_azure(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("bm90IHNob3du\n")
    found = storage(
        STORAGE_URL="azure://blobs/one",
        AZURE_ACCOUNT="account1",
        AZURE_ACCOUNT_KEY_FILE=str(secret),
        AZURE_ENDPOINT="http://127.0.0.1:10000/account1",
    ).bucket
    assert found == AzureSettings(
        "blobs", "one/", "account1", "bm90IHNob3du", "http://127.0.0.1:10000/account1"
    )
    assert "bm90" not in repr(found)
    plain = storage(STORAGE_URL="azure://blobs", AZURE_ACCOUNT="account1").bucket
    fields = options_of(plain, AzureSettings)
    assert fields is not None
    assert AzureOptions(**fields).account_url == "https://account1.blob.core.windows.net"


def test_content_moves_from_one_cloud_to_another() -> None:
    found = storage(
        STORAGE_NAME="new",
        STORAGE_URL="gs://blobs",
        FORMER_STORAGE_URL="azure://blobs",
        FORMER_AZURE_ACCOUNT="account1",
    )
    assert isinstance(found.bucket, GCSSettings)
    assert found.former is not None
    assert isinstance(found.former.bucket, AzureSettings)


def test_the_former_storage_has_settings_of_its_own() -> None:
    assert storage().former is None
    found = storage(
        **BUCKET | FORMER,
        S3_REGION="eu-central-1",
        FORMER_S3_REGION="us-east-1",
        FORMER_S3_ENDPOINT="https://s3.example.org",
    )
    assert found.name == "new"
    assert isinstance(found.bucket, S3Settings)
    assert (found.bucket.region, found.bucket.endpoint_url) == ("eu-central-1", None)
    assert found.former is not None
    assert found.former.name == "main"
    assert isinstance(found.former.bucket, S3Settings)
    assert (found.former.bucket.bucket, found.former.bucket.prefix) == ("before", "registry/")
    assert found.former.bucket.region == "us-east-1"


def test_the_former_storage_can_be_a_directory(tmp_path: Path) -> None:
    former = storage(STORAGE_NAME="new", FORMER_STORAGE_DIR=str(tmp_path)).former
    assert former is not None
    assert (former.name, former.directory, former.bucket) == ("main", tmp_path, None)


SAME = (
    "ROADSTEAD_FORMER_STORAGE_{} leads to the current storage: name another one, or unset it. "
    "If only the name is another one now, see `roadstead storage rename`."
)


def test_the_former_directory_is_another_one(tmp_path: Path) -> None:
    real, link, missing = tmp_path / "real", tmp_path / "link", tmp_path / "missing"
    real.mkdir()
    link.symlink_to(real)
    data = str(real / "storage")
    for current, former in (
        (real, real),
        (real, link),
        (link, real / ".." / "real"),
        (missing, missing),
        (link / "later", real / "later"),
    ):
        assert faults(
            STORAGE_NAME="new", STORAGE_DIR=str(current), FORMER_STORAGE_DIR=str(former)
        ) == (SAME.format("DIR"),)
    # The directory that is meant when none is named.
    assert faults(STORAGE_NAME="new", DATA_DIR=str(link), FORMER_STORAGE_DIR=data) == (
        SAME.format("DIR"),
    )
    assert storage(STORAGE_NAME="new", STORAGE_DIR=str(real), FORMER_STORAGE_DIR=data).former


@pytest.mark.parametrize(
    ("variables", "is_same"),
    [
        ({"STORAGE_URL": "s3://one/x", "FORMER_STORAGE_URL": "s3://one/x/"}, True),
        ({"STORAGE_URL": "s3://one/x", "FORMER_STORAGE_URL": "s3://one"}, False),
        ({"STORAGE_URL": "s3://one", "FORMER_STORAGE_URL": "s3://two"}, False),
        ({"STORAGE_URL": "s3://one", "FORMER_STORAGE_URL": "gs://one"}, False),
        ({"STORAGE_DIR": "/srv/one", "FORMER_STORAGE_URL": "s3://one"}, False),
        (
            {
                "STORAGE_URL": "s3://one",
                "FORMER_STORAGE_URL": "s3://one",
                "FORMER_S3_ENDPOINT": "https://s3.eu-central-1.amazonaws.com",
            },
            True,
        ),
        (
            {
                "STORAGE_URL": "s3://one",
                "S3_ENDPOINT": "https://S3.example.org",
                "FORMER_STORAGE_URL": "s3://one",
                "FORMER_S3_ENDPOINT": "https://s3.example.org",
            },
            True,
        ),
        (
            {
                "STORAGE_URL": "s3://one",
                "FORMER_STORAGE_URL": "s3://one",
                "FORMER_S3_ENDPOINT": "https://s3.example.org",
            },
            False,
        ),
        (
            {
                "STORAGE_URL": "gs://one",
                "FORMER_STORAGE_URL": "gs://one",
                "FORMER_GCS_ENDPOINT": "https://storage.example.org",
            },
            True,
        ),
        (
            {
                "STORAGE_URL": "azure://one",
                "AZURE_ACCOUNT": "account1",
                "FORMER_STORAGE_URL": "azure://one",
                "FORMER_AZURE_ACCOUNT": "account1",
                "FORMER_AZURE_ENDPOINT": "https://account1.blob.core.windows.net",
            },
            True,
        ),
        (
            {
                "STORAGE_URL": "azure://one",
                "AZURE_ACCOUNT": "account1",
                "FORMER_STORAGE_URL": "azure://one",
                "FORMER_AZURE_ACCOUNT": "account2",
            },
            False,
        ),
    ],
)
def test_the_former_bucket_is_another_one(variables: dict[str, str], is_same: bool) -> None:
    if is_same:
        assert faults(STORAGE_NAME="new", **variables) == (SAME.format("URL"),)
    else:
        assert storage(STORAGE_NAME="new", **variables).former is not None


def test_the_secret_is_masked() -> None:
    environment = load(
        {
            "ROADSTEAD_STORAGE_URL": "s3://blobs",
            "ROADSTEAD_S3_ACCESS_KEY_ID": "key",
            "ROADSTEAD_S3_SECRET_ACCESS_KEY": "not shown",
        }
    )
    shown = {setting.name: setting.value for setting in environment.shown}
    assert shown["ROADSTEAD_S3_SECRET_ACCESS_KEY"] == MASK
    assert "not shown" not in str(shown)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"S3_REGION": "eu-central-1"},
            "ROADSTEAD_S3_REGION has no effect: set ROADSTEAD_STORAGE_URL, or unset it.",
        ),
        (
            BUCKET | {"FORMER_STORAGE_DIR": "/srv/blobs"},
            "The storage and the former one are both called main: give the new one a name of "
            "its own, by which rows can tell them apart.",
        ),
        (
            {"FORMER_STORAGE_NAME": "old"},
            "ROADSTEAD_FORMER_STORAGE_NAME has no effect: set ROADSTEAD_FORMER_STORAGE_URL or "
            "ROADSTEAD_FORMER_STORAGE_DIR, or unset it.",
        ),
        (
            {"FORMER_S3_REGION": "eu-central-1"},
            "ROADSTEAD_FORMER_S3_REGION has no effect: set ROADSTEAD_FORMER_STORAGE_URL, "
            "or unset it.",
        ),
        (
            FORMER | {"FORMER_STORAGE_DIR": "/srv/blobs"},
            "ROADSTEAD_FORMER_STORAGE_URL and ROADSTEAD_FORMER_STORAGE_DIR are both set: "
            "unset one of them.",
        ),
        (
            {"STORAGE_NAME": "Main storage"},
            "ROADSTEAD_STORAGE_NAME cannot be 'Main storage': it must begin with a lowercase "
            "letter or digit and hold at most 32 of these or -.",
        ),
        (
            BUCKET | {"STORAGE_DIR": "/srv/blobs"},
            "ROADSTEAD_STORAGE_URL and ROADSTEAD_STORAGE_DIR are both set: unset one of them.",
        ),
        (
            BUCKET | {"S3_ACCESS_KEY_ID": "key"},
            "ROADSTEAD_S3_ACCESS_KEY_ID is set without ROADSTEAD_S3_SECRET_ACCESS_KEY: "
            "set both or none.",
        ),
        (
            BUCKET | {"S3_SECRET_ACCESS_KEY": "secret"},
            "ROADSTEAD_S3_SECRET_ACCESS_KEY is set without ROADSTEAD_S3_ACCESS_KEY_ID: "
            "set both or none.",
        ),
        (
            BUCKET | {"S3_KMS_KEY_ID": "key-1"},
            "ROADSTEAD_S3_KMS_KEY_ID has no effect: set ROADSTEAD_S3_ENCRYPTION to aws:kms, "
            "or unset it.",
        ),
        (
            BUCKET | {"S3_ENDPOINT": "s3.example.org"},
            "ROADSTEAD_S3_ENDPOINT cannot be 's3.example.org': it must be an address such as "
            "https://s3.example.org, without a path.",
        ),
        (
            {"STORAGE_URL": "azure://blobs"},
            "ROADSTEAD_AZURE_ACCOUNT is not set: name the storage account of the container.",
        ),
        (
            {"STORAGE_URL": "gs://blobs", "S3_REGION": "eu-central-1"},
            "ROADSTEAD_S3_REGION has no effect: set ROADSTEAD_STORAGE_URL to s3://..., "
            "or unset it.",
        ),
        (
            {"GCS_ENDPOINT": "https://storage.example.org"},
            "ROADSTEAD_GCS_ENDPOINT has no effect: set ROADSTEAD_STORAGE_URL, or unset it.",
        ),
        (
            {"STORAGE_URL": "azure://blobs", "AZURE_ACCOUNT": "An Account"},
            "ROADSTEAD_AZURE_ACCOUNT cannot be 'An Account': it must be the name of a storage "
            "account: 3 to 24 lowercase letters and digits.",
        ),
        (
            BUCKET | {"S3_ADDRESSING": "dns"},
            "ROADSTEAD_S3_ADDRESSING cannot be 'dns': set it to one of auto, path, virtual.",
        ),
        (
            BUCKET | {"S3_CA_BUNDLE": "/nonexistent/ca.pem"},
            "ROADSTEAD_S3_CA_BUNDLE cannot be '/nonexistent/ca.pem': name a file that exists.",
        ),
        (
            BUCKET | {"S3_STORAGE_CLASS": "cheap"},
            "ROADSTEAD_S3_STORAGE_CLASS cannot be 'cheap': it must be the name of a storage "
            "class, such as STANDARD_IA.",
        ),
    ],
)
def test_one_sentence_per_fault(variables: dict[str, str], sentence: str) -> None:
    assert faults(**variables) == (sentence,)
