"""Clients and threads of one process, made anew in a process that was forked off."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from core.storage.errors import StorageMisconfigured
from core.storage.s3.failures import reason_of
from core.storage.s3.options import S3Options

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from types_boto3_s3.client import S3Client

PART_THREADS = 16
"""Parts that one process sends at once."""

_CONNECTIONS = 64
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Clients:
    """What one process talks to the service with; all of it may be used by many threads."""

    process_id: int
    session: Session
    patient: "S3Client"
    """Sends a request again, with growing pauses, as long as that makes sense."""
    impatient: "S3Client"
    """Sends a request once, for those whose outcome must be looked at before another try."""
    threads: ThreadPoolExecutor


class Connection:
    """Gives the clients of the current process."""

    def __init__(self, options: S3Options) -> None:
        """Build the clients, without a request. Raises StorageMisconfigured."""
        self._options = options
        self._lock = threading.Lock()
        if options.ca_bundle is not None and not options.ca_bundle.is_file():
            raise StorageMisconfigured(f"There is no CA bundle at {options.ca_bundle}.")
        self._clients = self._build()

    @property
    def clients(self) -> Clients:
        """The clients of this process. A forked one must not use its parent's connections."""
        if self._clients.process_id != os.getpid():
            with self._lock:
                if self._clients.process_id != os.getpid():
                    self._clients = self._build()
        return self._clients

    def credentials(self) -> "ReadOnlyCredentials | None":
        """Return what requests are signed with at present; None where there is nothing."""
        found = self.clients.session.get_credentials()
        return None if found is None else found.get_frozen_credentials()

    @property
    def region(self) -> str:
        """The region that signatures name."""
        return self.clients.patient.meta.region_name or _DEFAULT_REGION

    def make_client(self, config: Config, endpoint_url: str | None) -> "S3Client":
        """Return a client with the configured addressing and timeouts, and ``config`` over it."""
        return self._client(self._clients.session, config, endpoint_url)

    def _build(self) -> Clients:
        options = self._options
        try:
            session = boto3.session.Session(
                aws_access_key_id=options.access_key_id,
                aws_secret_access_key=options.secret_access_key,
                region_name=options.region,
            )
            patient, impatient = (
                self._client(session, _tries(attempts), options.endpoint_url)
                for attempts in (options.attempts, 1)
            )
        except (BotoCoreError, ValueError) as error:
            raise StorageMisconfigured(
                f"The S3 client cannot be set up: {reason_of(error)}"
            ) from error
        threads = ThreadPoolExecutor(PART_THREADS, thread_name_prefix="s3-part")
        return Clients(os.getpid(), session, patient, impatient, threads)

    def _client(self, session: Session, config: Config, endpoint_url: str | None) -> "S3Client":
        options = self._options
        common = Config(
            signature_version="s3v4",
            s3={"addressing_style": options.addressing},
            connect_timeout=options.connect_timeout_seconds,
            read_timeout=options.read_timeout_seconds,
            max_pool_connections=_CONNECTIONS,
            tcp_keepalive=True,
            # Checksums in trailers, the default, are not understood by every service. Bodies
            # are covered by the signature, which every service checks.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # Without a region the SDK refuses to sign; services of one's own seldom have one.
        region = session.region_name or _DEFAULT_REGION
        return session.client(
            "s3",
            region_name=region,
            endpoint_url=endpoint_url,
            verify=None if options.ca_bundle is None else str(options.ca_bundle),
            config=common.merge(config),
        )


def _tries(attempts: int) -> Config:
    return Config(retries={"mode": "standard", "total_max_attempts": attempts})
