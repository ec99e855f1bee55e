"""The client of one process."""

import json

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Bucket, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter  # noqa: TID251 - the transport of the SDK

from core.storage.errors import StorageMisconfigured
from core.storage.gcs.options import GCSOptions

_CONNECTIONS = 64
# Links of an identity without a key are signed by another service than the storage.
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class Connection:
    """What one process talks to the service with. Any number of threads may use it."""

    def __init__(self, options: GCSOptions) -> None:
        """Build the client, without a request to the bucket. Raises StorageMisconfigured."""
        self.credentials = _credentials(options)
        session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call] # the SDK's
        adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        client = Client(
            # The bucket says which project pays; no request of ours needs to.
            project="",
            credentials=self.credentials,
            _http=session,
            client_options={"api_endpoint": options.address},
        )
        # The SDK would ask for facts of the bucket, which only its traces need, in threads of its
        # own: a right that we do without, and minutes of trying while the service is away.
        client._bucket_metadata_cache = None
        self.bucket: Bucket = client.bucket(options.bucket)
        self.timeout = (options.connect_timeout_seconds, options.read_timeout_seconds)
        self.retry = DEFAULT_RETRY.with_timeout(options.retry_seconds).with_delay(
            initial=options.first_pause_seconds, maximum=20.0, multiplier=2.0
        )


def _credentials(options: GCSOptions) -> Credentials:
    if options.credentials is None:
        try:
            found: Credentials = google.auth.default(scopes=_SCOPES)[0]
        except GoogleAuthError as error:
            raise StorageMisconfigured(
                "No Google credentials were found: set ROADSTEAD_GCS_CREDENTIALS_FILE, or give "
                "the machine or the workload an identity."
            ) from error
        return found
    try:
        read = service_account.Credentials.from_service_account_info
        key: Credentials = read(  # type: ignore[no-untyped-call] # the SDK's
            json.loads(options.credentials), scopes=_SCOPES
        )
    except (AttributeError, ValueError, GoogleAuthError):
        # JSON that is no object has no attributes. The error may hold a part of the key.
        raise StorageMisconfigured(
            "ROADSTEAD_GCS_CREDENTIALS is not the JSON of a service account's key."
        ) from None
    return key
