"""Options of a bucket: what requests carry, what ``check`` finds, links, processes."""

import os
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
import time_machine
from botocore.credentials import ReadOnlyCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core.common.clock import now
from core.storage import selection
from core.storage.errors import StorageKeyInvalid, StorageMisconfigured
from core.storage.filesystem import FilesystemDriver
from core.storage.part_schedule import PartSchedule
from core.storage.s3.driver import S3Driver
from core.storage.s3.options import S3Options
from core.storage.s3.signing import ANSWER_HEADERS, presigned
from tests.core.storage.s3_server import CREDENTIALS, PAGE_KEYS, FaultyProxy, S3Server, options_for
from tests.core.storage.suite import append, content, new_key, put
from tests.core.storage.test_s3 import TINY, data_of, operations, requests


@pytest.fixture
def options(s3_proxy: FaultyProxy, s3_bucket: str) -> S3Options:
    return options_for(s3_proxy.url, s3_bucket, schedule=TINY)


@pytest.fixture
def s3(options: S3Options) -> S3Driver:
    return S3Driver(options)


class TestRequests:
    def test_encryption_and_storage_class(self, options: S3Options, s3_proxy: FaultyProxy) -> None:
        driver = S3Driver(
            replace(options, encryption="aws:kms", kms_key_id="key-1", storage_class="STANDARD_IA")
        )
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, data_of(100) + b"x")
        state, size = append(driver, key, state, size, b"abc")
        driver.commit(key, state, size)
        put(driver, b"abc")
        created = requests(s3_proxy, "CreateMultipartUpload")
        stored = requests(s3_proxy, "PutObject")
        assert len(created) == 1
        assert len(stored) == 4
        for request in created + stored:
            assert request.headers["x-amz-server-side-encryption"] == "aws:kms"
            assert request.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
            is_tail = "/tail." in request.target
            expected = None if is_tail else "STANDARD_IA"
            assert request.headers.get("x-amz-storage-class") == expected

    def test_encryption_with_keys_of_the_service(
        self, options: S3Options, s3_proxy: FaultyProxy
    ) -> None:
        put(S3Driver(replace(options, encryption="AES256")), b"small")
        for request in requests(s3_proxy, "PutObject"):
            assert request.headers["x-amz-server-side-encryption"] == "AES256"

    def test_no_checksums_that_other_services_lack(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, data_of(100))
        s3.commit(key, state, size)
        content(s3, key)
        for request in s3_proxy.script.requests:
            names = set(request.headers)
            assert not {name for name in names if name.startswith("x-amz-checksum")}
            assert not names & {"x-amz-trailer", "x-amz-sdk-checksum-algorithm"}
            assert request.headers.get("content-encoding", "") != "aws-chunked"
        # Bodies are covered by the signature instead.
        for request in requests(s3_proxy, "UploadPart"):
            assert len(request.headers["x-amz-content-sha256"]) == 64

    def test_addresses(self, options: S3Options) -> None:
        key = new_key()
        path_style = S3Driver(options).redirect_url(key, lifetime_seconds=60)
        host_style = S3Driver(
            replace(
                options,
                endpoint_url="https://s3.example.org",
                addressing="virtual",
                bucket="bucket-one",
                prefix="",
            )
        ).redirect_url(key, lifetime_seconds=60)
        aws = S3Driver(replace(options, endpoint_url=None, region="eu-central-1")).redirect_url(
            key, lifetime_seconds=60
        )
        assert urlsplit(path_style or "").path == f"/{options.bucket}/{options.prefix}{key}"
        assert urlsplit(host_style or "").netloc == "bucket-one.s3.example.org"
        assert urlsplit(host_style or "").path == f"/{key}"
        assert urlsplit(aws or "").netloc == f"{options.bucket}.s3.amazonaws.com"


def write_certificate(path: Path) -> Path:
    """Write a certificate for the loopback address, which vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    begins_at = now() - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(begins_at + timedelta(days=3))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


def test_a_service_with_a_certificate_of_an_own_authority(
    s3_server: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    certificate = write_certificate(tmp_path / "certificate.pem")
    proxy = FaultyProxy(s3_server, certificate=certificate)
    try:
        driver = S3Driver(options_for(proxy.url, s3_bucket, ca_bundle=certificate))
        driver.check()
        assert content(driver, put(driver, b"data")) == b"data"
        distrusting = S3Driver(options_for(proxy.url, s3_bucket, attempts=1))
        with pytest.raises(StorageMisconfigured, match="CERTIFICATE_VERIFY_FAILED"):
            distrusting.check()
    finally:
        proxy.stop()


class TestCheck:
    def test_leaves_nothing(self, s3: S3Driver, options: S3Options, s3_server: S3Server) -> None:
        s3.check()
        found = s3_server.client().list_objects_v2(Bucket=options.bucket, Prefix=options.prefix)
        assert found["KeyCount"] == 0
        assert list(s3.list_uploads()) == []

    def test_a_bucket_that_is_not_there(self, options: S3Options) -> None:
        driver = S3Driver(replace(options, bucket="nobody-made-this-one"))
        with pytest.raises(StorageMisconfigured, match="does not exist: make it"):
            driver.check()

    @pytest.mark.parametrize(
        ("operation", "status", "code", "sentence"),
        [
            ("HeadObject", 403, "AccessDenied", "refuses HeadObject with these credentials"),
            ("PutObject", 403, "AccessDenied", "refuses PutObject with these credentials"),
            ("CreateMultipartUpload", 403, "AccessDenied", "refuses CreateMultipartUpload"),
            ("ListObjectsV2", 403, "AccessDenied", "refuses ListObjectsV2"),
            ("ListMultipartUploads", 403, "AccessDenied", "refuses ListMultipartUploads"),
            ("DeleteObject", 403, "AccessDenied", "refuses DeleteObject"),
            ("PutObject", 403, "InvalidAccessKeyId", "does not accept the credentials"),
            ("PutObject", 403, "SignatureDoesNotMatch", "does not accept the credentials"),
            ("PutObject", 403, "RequestTimeTooSkewed", "the clock of this machine is wrong"),
            ("PutObject", 301, "PermanentRedirect", "is in another region"),
            ("PutObject", 400, "InvalidStorageClass", "answered PutObject with InvalidStorage"),
        ],
    )
    def test_says_what_is_refused(
        self,
        s3: S3Driver,
        s3_proxy: FaultyProxy,
        operation: str,
        status: int,
        code: str,
        sentence: str,
    ) -> None:
        s3_proxy.fail(operation, "answer", times=-1, argument=(status, code))
        with pytest.raises(StorageMisconfigured, match=sentence) as caught:
            s3.check()
        assert str(caught.value).endswith(".")

    def test_a_service_that_is_away(self, options: S3Options) -> None:
        driver = S3Driver(replace(options, endpoint_url="http://127.0.0.1:9", attempts=1))
        with pytest.raises(StorageMisconfigured, match="Could not connect"):
            driver.check()

    def test_a_service_that_replaces_objects(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        s3_proxy.fail("PutObject", "without_header", skip=1, argument="If-None-Match")
        with pytest.raises(StorageMisconfigured, match="ROADSTEAD_S3_CONDITIONAL_WRITES to false"):
            s3.check()

    def test_without_conditional_writes(self, options: S3Options, s3_proxy: FaultyProxy) -> None:
        driver = S3Driver(replace(options, has_conditional_writes=False))
        driver.check()
        assert all("if-none-match" not in one.headers for one in s3_proxy.script.requests)

    def test_options_that_cannot_be(self, options: S3Options, tmp_path: Path) -> None:
        with pytest.raises(StorageMisconfigured, match="no CA bundle"):
            S3Driver(replace(options, ca_bundle=tmp_path / "missing.pem"))
        with pytest.raises(StorageMisconfigured, match="cannot be set up"):
            S3Driver(replace(options, endpoint_url="not an address"))
        with pytest.raises(ValueError, match="slash"):
            replace(options, prefix="no-slash")

    def test_secrets_are_not_shown(self, options: S3Options) -> None:
        assert CREDENTIALS["secret_access_key"] not in repr(options)


class TestLinks:
    def test_lead_to_the_bytes_without_credentials(self, s3: S3Driver) -> None:
        url = s3.redirect_url(put(s3, b"data"), lifetime_seconds=60)
        assert url is not None
        with urlopen(url, timeout=10) as answer:
            assert answer.read() == b"data"
            assert answer.headers["Cache-Control"] == ANSWER_HEADERS["response-cache-control"]

    def test_take_no_request(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        assert s3.redirect_url(new_key(), lifetime_seconds=60)
        assert operations(s3_proxy) == []
        with pytest.raises(StorageKeyInvalid):
            s3.redirect_url("blobs/../x", lifetime_seconds=60)

    def test_are_the_same_for_a_while_in_every_process(self, options: S3Options) -> None:
        key, urls = new_key(), []
        for second in (0, 299, 300):
            moment = datetime(2026, 1, 1, 12, second // 60, second % 60, tzinfo=UTC)
            with time_machine.travel(moment, tick=False):
                urls.append(S3Driver(options).redirect_url(key, lifetime_seconds=1_200))
        assert urls[0] == urls[1] != urls[2]
        query = parse_qs(urlsplit(urls[0] or "").query)
        assert query["X-Amz-Date"] == ["20260101T120000Z"]
        # Handed out in the last second before rounding, it still lives 20 minutes.
        assert query["X-Amz-Expires"] == ["1500"]

    def test_are_signed_as_the_sdk_signs(self, s3_server: S3Server, options: S3Options) -> None:
        moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
        parameters = {
            "response-content-type": "application/octet-stream",
            "response-cache-control": "private, max-age=1",
        }
        with time_machine.travel(moment, tick=False):
            expected = s3_server.client(signature_version="s3v4").generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": options.bucket,
                    "Key": "a/b",
                    "ResponseContentType": parameters["response-content-type"],
                    "ResponseCacheControl": parameters["response-cache-control"],
                },
                ExpiresIn=77,
            )
        ours = presigned(
            f"{s3_server.url}/{options.bucket}/a/b",
            ReadOnlyCredentials(
                CREDENTIALS["access_key_id"], CREDENTIALS["secret_access_key"], None
            ),
            region="us-east-1",
            signed_at=moment,
            valid_seconds=77,
            parameters=parameters,
        )
        assert parse_qs(urlsplit(ours).query).keys() == parse_qs(urlsplit(expected).query).keys()
        assert sorted_query(ours) == sorted_query(expected)

    def test_session_tokens_are_part_of_them(self, options: S3Options) -> None:
        url = presigned(
            "https://s3.example.org/a",
            ReadOnlyCredentials("key", "secret", "to/ken="),
            region="us-east-1",
            signed_at=datetime(2026, 1, 1, tzinfo=UTC),
            valid_seconds=60,
            parameters={},
        )
        assert "X-Amz-Security-Token=to%2Fken%3D" in url

    def test_name_the_public_address(self, options: S3Options) -> None:
        driver = S3Driver(replace(options, public_endpoint_url="https://files.example.org"))
        url = driver.redirect_url(new_key(), lifetime_seconds=60)
        assert urlsplit(url or "").netloc == "files.example.org"

    def test_are_none_on_a_disk(self, tmp_path: Path) -> None:
        driver = FilesystemDriver(tmp_path / "storage")
        assert driver.redirect_url(new_key(), lifetime_seconds=60) is None


def sorted_query(url: str) -> list[str]:
    """Return the parts of the query without the signature, which depends on their order."""
    return sorted(part for part in urlsplit(url).query.split("&") if "X-Amz-Signature" not in part)


def test_listings_leave_out_what_is_not_ours(
    s3: S3Driver, options: S3Options, s3_server: S3Server
) -> None:
    key = put(s3, b"data")
    client = s3_server.client()
    for name in ("blobs/x", "blobs/ab/short", "uploads/x/tail.1", "uploads/ab/x", "other"):
        client.put_object(Bucket=options.bucket, Key=options.prefix + name, Body=b"x")
    client.create_multipart_upload(Bucket=options.bucket, Key=f"{options.prefix}blobs/x")
    assert [blob.key for blob in s3.list_blobs()] == [key]
    assert list(s3.list_uploads()) == []


def test_long_listings(s3: S3Driver, options: S3Options, s3_proxy: FaultyProxy) -> None:
    client = s3_proxy.server.client()
    keys = sorted(new_key() for _ in range(2 * PAGE_KEYS + 5))
    for key in keys:
        client.put_object(Bucket=options.bucket, Key=options.prefix + key, Body=b"x")
    assert [blob.key for blob in s3.list_blobs()] == keys
    assert operations(s3_proxy) == 3 * ["ListObjectsV2"]


def test_a_forked_process_uses_clients_of_its_own(s3: S3Driver) -> None:
    key = put(s3, b"data")
    before = s3._bucket.connection.clients
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        clients = s3._bucket.connection.clients
        result = (content(s3, key), clients is before, clients.process_id == os.getpid())
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pickle.loads(pipe.read()) == (b"data", False, True)
    assert s3._bucket.connection.clients is before


def test_the_settings_choose_the_bucket(
    options: S3Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fields = {name: getattr(options, name) for name in options.__dataclass_fields__}
    monkeypatch.setattr(
        selection, "settings", SimpleNamespace(STORAGE_ROOT=tmp_path, STORAGE_S3=fields)
    )
    selection.default_driver.cache_clear()
    try:
        driver = selection.default_driver()
        assert isinstance(driver, S3Driver)
        assert selection.default_driver() is driver
        assert content(driver, put(driver, b"data")) == b"data"
    finally:
        selection.default_driver.cache_clear()
    assert list(tmp_path.iterdir()) == []


def test_real_part_sizes(s3_proxy: FaultyProxy, s3_bucket: str) -> None:
    """Once with parts of 16 MiB, as in use."""
    driver = S3Driver(options_for(s3_proxy.url, s3_bucket))
    key, whole = new_key(), data_of(38 << 20)
    writer = driver.open_writer(key, driver.start(key), 0)
    view = memoryview(whole)
    for start in range(0, len(whole), 1 << 20):
        writer.write(view[start : start + (1 << 20)])
    state = writer.sync()
    writer.close()
    driver.commit(key, state, len(whole))
    sizes = sorted(one.body_bytes for one in requests(s3_proxy, "UploadPart"))
    assert sizes == [6 << 20, PartSchedule().size_of(1), PartSchedule().size_of(2)]
    assert content(driver, key) == whole
