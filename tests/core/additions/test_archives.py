"""Reading files out of archives that anybody may have pushed."""

import gzip
import io
import tarfile

import pytest

from core.additions import archives
from core.additions.archives import read_files
from core.artifacts.errors import ContentNotShown
from tests.factories.archives import tar, tar_gz

pytestmark = pytest.mark.pure

FILES = [
    ("app/charts/sub/values.yaml", b"of another"),
    ("app/values.yaml", b"a: 1\n"),
    ("app/README.md", b"# App"),
    ("app/values.yaml", b"second"),
]


def with_headers(*headers: tuple[bytes, bytes]) -> bytes:
    """Return an archive with headers of these types in front of its only file."""
    entries = b""
    for kind, content in headers:
        header = tarfile.TarInfo("header")
        header.type, header.size = kind, len(content)
        entries += header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    return entries + tar([("app/README.md", b"x")])


def pieces(content: bytes, size: int = 7) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 7, 512, 100_000])
def test_the_wanted_files_are_read_by_their_exact_names(size: int) -> None:
    wanted = ["app/values.yaml", "app/README.md", "app/readme.md", "values.yaml"]
    expected = {"app/values.yaml": b"a: 1\n", "app/README.md": b"# App"}
    assert read_files(pieces(tar_gz(FILES), size), wanted, is_compressed=True) == expected
    assert read_files(pieces(tar(FILES), size), wanted, is_compressed=False) == expected


def test_what_is_no_regular_file_is_not_read() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo("app/values.yaml")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert read_files([target.getvalue()], ["app/values.yaml"], is_compressed=False) == {}


def test_members_of_gzip_that_follow_each_other_are_one_archive() -> None:
    plain = tar(FILES)
    packed = gzip.compress(plain[:700]) + gzip.compress(plain[700:])
    assert read_files(pieces(packed), ["app/README.md"], is_compressed=True)


@pytest.mark.parametrize(
    ("content", "is_compressed"),
    [
        (b"no archive at all" * 100, False),
        (b"no archive at all" * 100, True),
        (tar_gz(FILES)[:60], True),
        (tar(FILES)[:700], False),
        (gzip.compress(b"no archive" * 200, mtime=0), True),
    ],
)
def test_what_is_no_archive_is_refused(content: bytes, is_compressed: bool) -> None:
    with pytest.raises(ContentNotShown):
        read_files(pieces(content), ["app/README.md"], is_compressed=is_compressed)


PAX, GLOBAL = tarfile.XHDTYPE, tarfile.XGLTYPE
LARGE = bytes(archives.MAXIMUM_HEADER_BYTES + 1)
HALF = bytes(archives.MAXIMUM_HEADER_BYTES // 2)


@pytest.mark.parametrize(
    ("content", "bounds"),
    [
        (tar_gz([("big", bytes(8 << 20)), ("app/README.md", b"x")]), {}),
        (tar_gz([("app/README.md", bytes(4_000))]), {"MAXIMUM_FILE_BYTES": 3_999}),
        (tar_gz([(str(number), b"") for number in range(9)]), {"MAXIMUM_ENTRIES": 8}),
        (tar_gz([("big", bytes(range(256)) * 40)]), {"MAXIMUM_UNPACKED_BYTES": 10_000}),
        (with_headers((PAX, LARGE)), {}),
        (with_headers((GLOBAL, LARGE)), {}),
        (with_headers((tarfile.SOLARIS_XHDTYPE, LARGE)), {}),
        (with_headers((tarfile.GNUTYPE_LONGNAME, LARGE)), {}),
        (with_headers((tarfile.GNUTYPE_LONGLINK, LARGE)), {}),
        (with_headers(*[(GLOBAL, HALF)] * 5), {}),
        (with_headers(*[(GLOBAL, b"7 a=bc\n")] * 9), {}),
        (with_headers(*[(GLOBAL, b"7 a=bc\n")] * 2), {"MAXIMUM_ENTRIES": 2}),
        (with_headers((PAX, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")), {}),
    ],
    ids=[
        *("ratio", "file", "entries", "size", "pax", "global", "solaris", "name", "link"),
        *("headers", "row", "headers as entries", "sparse"),
    ],
)
def test_archives_beyond_the_bounds_are_refused(
    content: bytes, bounds: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bounds.items():
        monkeypatch.setattr(archives, name, value)
    with pytest.raises(ContentNotShown):
        read_files(pieces(content, 512), ["app/README.md"], is_compressed=True)


def test_headers_say_more_of_the_next_entry_alone() -> None:
    path = f"app/{'long/' * 40}README.md"
    ours = with_headers((GLOBAL, b"16 path=ignored\n"), (PAX, b"17 path=app/name\n"))
    for archive, wanted in ((tar([(path, b"x")]), path), (ours, "app/name")):
        assert read_files([archive], [wanted], is_compressed=False) == {wanted: b"x"}
    headers = [(GLOBAL, b"16 path=ignored\n"), (PAX, b"10 uname=\n")]
    assert read_files([with_headers(*headers)], ["app/README.md"], is_compressed=False)
