"""The driver, as the settings name it."""

from core.storage.azure.options import AzureOptions
from core.storage.azure.service import AzureService
from core.storage.pieces.driver import PiecesDriver


class AzureDriver(PiecesDriver):
    """Keeps uploads and blobs in a container of Azure Blob Storage."""

    def __init__(self, options: AzureOptions) -> None:
        """Set up the client, without a request. Raises StorageMisconfigured."""
        super().__init__(AzureService(options))
