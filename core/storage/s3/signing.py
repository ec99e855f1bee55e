"""Links that let a client read one object from the service itself.

The SDK signs with the time of the call, so that every link differs and no cache keeps what it
leads to. Here the time is rounded down: all processes give the same link for some minutes.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from botocore import UNSIGNED
from botocore.config import Config

from core.common.clock import now
from core.storage.s3.bucket import Bucket

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

ROUNDED_TO_SECONDS = 300

ANSWER_HEADERS = {
    "response-cache-control": "private, max-age=31536000, immutable",
    "response-content-type": "application/octet-stream",
}
"""What the service is asked to send with the bytes."""


class LinkSigner:
    """Makes links to the objects of one bucket."""

    def __init__(self, bucket: Bucket) -> None:
        options = bucket.options
        self._connection = bucket.connection
        endpoint_url = options.public_endpoint_url or options.endpoint_url
        client = self._connection.make_client(Config(signature_version=UNSIGNED), endpoint_url)
        # The address of an object is the address of the bucket, in the style configured, and
        # its name, which for names of ours needs no quoting.
        self._base = client.generate_presigned_url(
            "get_object", Params={"Bucket": options.bucket, "Key": "-"}
        ).removesuffix("-")

    def link(self, name: str, lifetime_seconds: int) -> str | None:
        """Return a link that works for at least that long; None without credentials."""
        credentials = self._connection.credentials()
        if credentials is None:
            return None
        time = int(now().timestamp())
        return presigned(
            self._base + quote(name),
            credentials,
            region=self._connection.region,
            signed_at=datetime.fromtimestamp(time - time % ROUNDED_TO_SECONDS, tz=UTC),
            valid_seconds=lifetime_seconds + ROUNDED_TO_SECONDS,
            parameters=ANSWER_HEADERS,
        )


def presigned(
    url: str,
    credentials: "ReadOnlyCredentials",
    *,
    region: str,
    signed_at: datetime,
    valid_seconds: int,
    parameters: Mapping[str, str],
) -> str:
    """Return ``url`` for a GET with a signature (version 4) in the query."""
    date, timestamp = f"{signed_at:%Y%m%d}", f"{signed_at:%Y%m%dT%H%M%SZ}"
    scope = f"{date}/{region}/s3/aws4_request"
    query = {
        **parameters,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(valid_seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token is not None:
        query["X-Amz-Security-Token"] = credentials.token
    # The order is that of the encoded names: all are ASCII, so sorting by name will do.
    encoded = "&".join(f"{quote(name, '')}={quote(query[name], '')}" for name in sorted(query))
    parts = urlsplit(url)
    request = f"GET\n{parts.path}\n{encoded}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for step in (date, region, "s3", "aws4_request"):
        key = _hmac(key, step)
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex()
    return f"{url}?{encoded}&X-Amz-Signature={signature}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
