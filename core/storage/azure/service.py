"""The requests that the driver sends; there are no others."""

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobSasPermissions, ContentSettings, generate_blob_sas

from core.common.clock import now
from core.storage.azure.connection import Connection
from core.storage.azure.failures import EXISTS, MISSING, code_of, reason_of, translated
from core.storage.azure.options import AzureOptions
from core.storage.errors import BlobMissing, StorageFailed, UploadMissing
from core.storage.keys import join_key, parse_key
from core.storage.part_buffer import PartBuffer
from core.storage.pieces.processes import PerProcess
from core.storage.pieces.service import BlobFacts
from core.storage.pieces.state import PiecesState
from core.storage.types import StoredObject

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

LINK_STEP_SECONDS = 300
"""Links are the same for so long."""

_MARK = "roadstead_upload"
_DISCARDED = "discarded"
_MEDIA_TYPE = "application/octet-stream"
_CACHE_CONTROL = "private, max-age=31536000, immutable"


class AzureService:
    """One container, seen through the configured prefix. See ``PieceService``."""

    name = "azure"

    def __init__(self, options: AzureOptions) -> None:
        """Set up the client, without a request. Raises StorageMisconfigured."""
        self._options = options
        self._connections = PerProcess(lambda: Connection(options))
        self._connections.get()

    def put_piece(self, key: str, piece: str, content: PartBuffer) -> None:
        """Put a block."""
        with translated("write the upload"):
            body = content.body()
            self._blob(key).stage_block(
                piece,
                io.BytesIO(body) if isinstance(body, bytearray) else body,
                length=content.size,
                validate_content=True,
            )

    def holds_pieces(self, key: str, state: PiecesState) -> bool:
        """Say whether the service lists all blocks as not committed yet."""
        return self._blocks(key).keys() >= set(state.names)

    def join(self, key: str, state: PiecesState) -> None:
        """Commit the blocks of the state; the service drops all others of the key."""
        self._commit(key, [BlobBlock(name) for name in state.names], state.mark)

    def clean(self, key: str) -> None:
        """Nothing to do: blocks that were not committed are gone."""

    def discard(self, key: str) -> None:
        """Commit no block at all, which drops them, and remove the empty blob.

        An empty blob that a crash between the two left bears a mark by which it is known.
        """
        with translated("remove the upload"):
            if self._blocks(key):
                # Where there is a blob already, its late blocks are left to the service.
                with suppress(UploadMissing):
                    self._commit(key, [], _DISCARDED)
            try:
                found = self._blob(key).get_blob_properties()
                if (found.metadata or {}).get(_MARK) == _DISCARDED:
                    self._blob(key).delete_blob(
                        etag=found.etag, match_condition=MatchConditions.IfNotModified
                    )
            except HttpResponseError as error:
                if code_of(error) not in MISSING | EXISTS:
                    raise

    def head(self, key: str) -> BlobFacts | None:
        """Get the properties of a blob."""
        with translated("look for the blob"):
            try:
                found = self._blob(key).get_blob_properties()
            except HttpResponseError as error:
                if code_of(error) in MISSING:
                    return None
                raise
        return BlobFacts(found.size, str(found.etag), (found.metadata or {}).get(_MARK, ""))

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        """Get a range."""
        with translated("read the blob"):
            try:
                return (
                    self._blob(key)
                    .download_blob(
                        start,
                        end - start,
                        etag=version,
                        match_condition=MatchConditions.IfNotModified,
                    )
                    .readall()
                )
            except HttpResponseError as error:
                # Keys are never used twice: another version means that this one is gone.
                if code_of(error) in MISSING | {"ConditionNotMet"}:
                    raise BlobMissing from error
                raise

    def delete(self, key: str) -> None:
        """Delete a blob."""
        with translated("remove the blob"):
            try:
                self._blob(key).delete_blob()
            except HttpResponseError as error:
                if code_of(error) not in MISSING:
                    raise

    def link(self, key: str, lifetime_seconds: int) -> str | None:
        """Return a link with a shared access signature for reading this blob."""
        time = int(now().timestamp())
        begins_at = datetime.fromtimestamp(time - time % LINK_STEP_SECONDS, tz=UTC)
        ends_at = begins_at + timedelta(seconds=LINK_STEP_SECONDS + lifetime_seconds)
        options, name = self._options, self._blob_name(key)
        with translated("sign a link"):
            link_key = self._connections.get().link_key(ends_at)
            signature = generate_blob_sas(
                options.account,
                options.container,
                name,
                account_key=link_key.account_key,
                user_delegation_key=link_key.user_delegation_key,
                permission=BlobSasPermissions(read=True),
                # Clocks differ: a link must not begin in the future of the service.
                start=begins_at - timedelta(minutes=5),
                expiry=ends_at,
                cache_control=_CACHE_CONTROL,
                content_type=_MEDIA_TYPE,
            )
        return f"{options.account_url}/{options.container}/{quote(name)}?{signature}"

    def list_blobs(self) -> Iterator[StoredObject]:
        """List the committed blobs."""
        begin = f"{self._options.prefix}blobs/"
        with translated("list the storage"):
            for found in self._container().list_blobs(name_starts_with=begin):
                key = self._key_of(found.name)
                if key is not None:
                    yield StoredObject(key, found.size or 0, found.last_modified)

    def list_uploads(self, key: str | None = None) -> Iterator[StoredObject]:
        """List what has blocks that are not committed.

        A listing says nothing of them but the name, with a size of 0.
        """
        begin = f"{self._options.prefix}blobs/" if key is None else self._blob_name(key)
        with translated("list the uploads"):
            pages = self._container().list_blobs(
                name_starts_with=begin, include=["uncommittedblobs"]
            )
            for found in pages:
                upload_key = None if found.size else self._key_of(found.name)
                blocks = self._blocks(upload_key) if upload_key else {}
                if upload_key and blocks:
                    newest = max(_begun_at(block) for block in blocks)
                    yield StoredObject(upload_key, sum(blocks.values()), newest)

    def sentence(self, error: StorageFailed) -> str:
        """Say what ``error`` means and what to look at."""
        where = f"The container {self._options.container} of {self._options.account_url}"
        code = code_of(error.__cause__)
        if code == "ContainerNotFound":
            return f"{where} does not exist: make it, or correct ROADSTEAD_STORAGE_URL."
        if code in ("AuthenticationFailed", "InvalidAuthenticationInfo"):
            return f"{where} does not accept the credentials ({code}): correct them."
        if code.startswith("Authorization") or code == "403":
            return (
                f"{where} refuses a request with these credentials ({code}): allow what "
                "docs/operations/storage.md lists, or correct the credentials."
            )
        return f"{where} cannot be used: {reason_of(error.__cause__ or error)}."

    def _commit(self, key: str, blocks: list[BlobBlock], mark: str) -> None:
        with translated("store the blob"):
            self._blob(key).commit_block_list(
                blocks,
                content_settings=ContentSettings(content_type=_MEDIA_TYPE),
                metadata={_MARK: mark},
                match_condition=MatchConditions.IfMissing,
            )

    def _blocks(self, key: str) -> dict[str, int]:
        """Return the names of the blocks that are not committed, with their sizes."""
        with translated("look for the upload"):
            try:
                _, found = self._blob(key).get_block_list("uncommitted")
            except HttpResponseError as error:
                if code_of(error) in MISSING:
                    return {}
                raise
        return {str(block["id"]): int(block["size"]) for block in found}

    def _container(self) -> "ContainerClient":
        return self._connections.get().client.get_container_client(self._options.container)

    def _blob(self, key: str) -> "BlobClient":
        return self._container().get_blob_client(self._blob_name(key))

    def _blob_name(self, key: str) -> str:
        parse_key(key)
        return self._options.prefix + key

    def _key_of(self, name: str) -> str | None:
        """Return the key that a blob's name stands for, None for what is not ours."""
        folder, _, rest = name.removeprefix(f"{self._options.prefix}blobs/").partition("/")
        return join_key(folder, rest)


def _begun_at(block: str) -> datetime:
    """Return when the writer of a block was opened, which its name begins with."""
    try:
        return datetime.fromtimestamp(int(block[:8], 16), tz=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, tz=UTC)
