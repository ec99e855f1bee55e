"""Tar archives with explicit content."""

import gzip
import io
import tarfile
from collections.abc import Iterable


def tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive with one regular file for each entry, in that order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def tar_gz(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the same, compressed."""
    return gzip.compress(tar(files), mtime=0)
