"""The client of one process, and what links are signed with."""

import base64
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.core.credentials import AzureNamedKeyCredential, TokenCredential
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ExponentialRetry, UserDelegationKey

from core.common.clock import now
from core.storage.azure.options import AzureOptions
from core.storage.errors import StorageMisconfigured

_KEY_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LinkKey:
    """One of the two, as the SDK takes them."""

    account_key: str | None = None
    user_delegation_key: UserDelegationKey | None = None


class Connection:
    """What one process talks to the service with. Any number of threads may use it."""

    def __init__(self, options: AzureOptions) -> None:
        """Build the client, without a request. Raises StorageMisconfigured."""
        self._options = options
        self._lock = threading.Lock()
        self._delegated: tuple[datetime, UserDelegationKey] | None = None
        credential: AzureNamedKeyCredential | TokenCredential
        if options.account_key is None:
            credential = DefaultAzureCredential()
        else:
            _ensure_key(options.account_key)
            credential = AzureNamedKeyCredential(options.account, options.account_key)
        try:
            self.client = BlobServiceClient(
                options.account_url,
                credential=credential,
                retry_policy=ExponentialRetry(
                    initial_backoff=options.first_pause_seconds,
                    increment_base=2,
                    retry_total=options.retries,
                ),
                connection_timeout=options.connect_timeout_seconds,
                read_timeout=options.read_timeout_seconds,
            )
        except ValueError as error:
            raise StorageMisconfigured(f"The Azure client cannot be set up: {error}") from error

    def link_key(self, until: datetime) -> LinkKey:
        """Return what a link that ends at ``until`` can be signed with.

        Without an account key it is one that the service makes for our identity; it is kept
        for most of a day.
        """
        if self._options.account_key is not None:
            return LinkKey(account_key=self._options.account_key)
        with self._lock:
            if self._delegated is None or self._delegated[0] < until:
                begins_at = now()
                ends_at = begins_at + _KEY_LIFETIME
                key = self.client.get_user_delegation_key(
                    begins_at - timedelta(minutes=15), ends_at
                )
                self._delegated = (ends_at, key)
            return LinkKey(user_delegation_key=self._delegated[1])


def _ensure_key(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise StorageMisconfigured(
            "ROADSTEAD_AZURE_ACCOUNT_KEY is not the key of a storage account: it is not base64."
        ) from None
