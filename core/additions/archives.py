"""Reading single files out of an archive that anybody may have pushed.

The archive passes through memory in small pieces, and only the wanted files stay. Its size
unpacked, the ratio to its size packed, and its number of entries are bounded, and so is each
file: an archive that goes beyond is refused as soon as it does. Headers that only say more of
other entries count as entries, and none may be large.
"""

import tarfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from core.artifacts.errors import ContentNotShown

MAXIMUM_PACKED_BYTES: Final = 32 << 20
MAXIMUM_UNPACKED_BYTES: Final = 128 << 20
MAXIMUM_RATIO: Final = 200
"""How many times its packed size an archive may have; small ones may have a mebibyte."""

MAXIMUM_ENTRIES: Final = 20_000
MAXIMUM_FILE_BYTES: Final = 1 << 20
MAXIMUM_HEADER_BYTES: Final = 32 << 10
"""What one header may hold that says more of the next entry, such as a long name.

The squares of their sizes, all in all, may be as large as that of one of this size: so grows
the time in which Python may search them.
"""

MAXIMUM_HEADERS_IN_A_ROW: Final = 8

_FREE_BYTES: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 64 << 10
_EXTENDED: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)


class _Unpacked:
    """The bytes of an archive as a file to be read once from the beginning to the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return that many bytes, fewer only at the end."""
        while len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


class _Archive(tarfile.TarFile):
    """An archive whose headers are counted before what they announce is read."""

    headers = 0
    header_work = 0
    headers_in_a_row = 0

    def count(self, header: tarfile.TarInfo) -> None:
        # What a global header says would be copied for each entry that has a header of its own,
        # and no file is found by it.
        self.pax_headers = {}
        self.headers += 1
        if self.headers > MAXIMUM_ENTRIES:
            raise ContentNotShown("The archive has too many entries.")
        if header.type not in _EXTENDED:
            self.headers_in_a_row = 0
            return
        self.headers_in_a_row += 1
        self.header_work += header.size**2
        if (
            self.header_work > MAXIMUM_HEADER_BYTES**2
            or self.headers_in_a_row > MAXIMUM_HEADERS_IN_A_ROW
        ):
            raise ContentNotShown("The archive has too large or too many extended headers.")


class _Entry(tarfile.TarInfo):
    """A header of such an archive."""

    def _proc_member(self, archive: _Archive) -> tarfile.TarInfo:
        archive.count(self)
        processed: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # private
        return processed

    def _refuse(self, *_: object) -> None:
        """Refuse a sparse file, whose map may be as long as the archive."""
        raise ContentNotShown("The archive has sparse files.")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse


def read_files(
    packed: Iterable[bytes], wanted: Collection[str], *, is_compressed: bool
) -> dict[str, bytes]:
    """Return the wanted regular files of a tar archive, by the exact names of their entries.

    ``packed`` are the pieces of the archive. Names that are not in it are left out; of entries
    that have the same name the first counts. Raises ``ContentNotShown`` when it is no archive, or
    beyond the bounds.
    """
    found: dict[str, bytes] = {}
    pieces = _inflated(packed) if is_compressed else _bounded(packed)
    try:
        with _Archive.open(  # type: ignore[call-overload]  # what it is given only reads
            fileobj=_Unpacked(pieces),
            mode="r|",
            bufsize=_PIECE,
            tarinfo=_Entry,
        ) as archive:
            for entry in archive:
                if entry.name in wanted and entry.name not in found and entry.isreg():
                    found[entry.name] = _content(archive, entry)
                    if len(found) == len(wanted):
                        break
                # The archive remembers all its entries unless it is told not to.
                archive.members = []
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise ContentNotShown("The content is not an archive that can be read.") from error
    return found


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    if entry.size > MAXIMUM_FILE_BYTES:
        raise ContentNotShown(f"{entry.name} has more than {MAXIMUM_FILE_BYTES} bytes.")
    file = archive.extractfile(entry)
    return b"" if file is None else file.read(MAXIMUM_FILE_BYTES)


def _inflated(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, any number of members one behind the other."""
    unpacker = zlib.decompressobj(_GZIP)
    packed_bytes = unpacked_bytes = 0
    for piece in packed:
        packed_bytes += len(piece)
        rest = piece
        while rest:
            unpacked = unpacker.decompress(rest, _PIECE)
            unpacked_bytes += len(unpacked)
            _ensure_within(packed_bytes, unpacked_bytes)
            yield unpacked
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                rest = unpacker.unused_data
                unpacker = zlib.decompressobj(_GZIP)
    yield unpacker.flush()


def _bounded(packed: Iterable[bytes]) -> Iterator[bytes]:
    total = 0
    for piece in packed:
        total += len(piece)
        _ensure_within(total, total)
        yield piece


def _ensure_within(packed_bytes: int, unpacked_bytes: int) -> None:
    allowed = min(max(packed_bytes * MAXIMUM_RATIO, _FREE_BYTES), MAXIMUM_UNPACKED_BYTES)
    if unpacked_bytes > allowed:
        raise ContentNotShown("The archive is too large unpacked.")
