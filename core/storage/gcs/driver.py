"""The driver, as the settings name it."""

from core.storage.gcs.options import GCSOptions
from core.storage.gcs.service import GCSService
from core.storage.pieces.driver import PiecesDriver


class GCSDriver(PiecesDriver):
    """Keeps uploads and blobs in a bucket of Google Cloud Storage."""

    def __init__(self, options: GCSOptions) -> None:
        """Set up the client, without a request to the bucket. Raises StorageMisconfigured."""
        super().__init__(GCSService(options))
