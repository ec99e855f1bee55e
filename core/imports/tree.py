"""Reading the storage directory of a reference registry.

The directory is taken for hostile: every component of a path is opened by itself and never
through a symbolic link, only plain files are read, and what is read at once is bounded. It may
change while it is read, as that of a running registry does.
"""

import errno
import os
import stat
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from core.common.errors import DomainError
from core.imports import rules
from core.imports.errors import SourceFault, SourceInvalid
from core.imports.types import Finding, SourceManifest, SourceRepository
from core.oci.digest import Digest
from core.oci.errors import DigestInvalid
from core.oci.manifest import MAX_MANIFEST_BYTES, parse_manifest
from core.oci.reference import is_tag

Report = Callable[[Finding], None]
Result = TypeVar("Result")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe in the place of a file would be waited for.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_DEPTH = 128
"""A repository name of 255 characters has no more components than that."""


class RegistryTree:
    """The content of one source. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the directory, its ``docker/registry/v2`` included or not.

        Raises SourceInvalid.
        """
        self._root = _open_root(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def repository_names(self, report: Report) -> list[str]:
        """Return the names of all repositories, sorted."""
        return sorted(self._repositories_below((), report))

    def repository(self, name: str, known: Container[Digest], report: Report) -> SourceRepository:
        """Return what can be taken over of a repository; report what cannot.

        Manifests that are not ``known`` are read and checked, and their blobs looked for, whose
        bytes are for later.
        """
        place = ("repositories", *name.split("/"), "_manifests")
        digests = list(self._linked_digests((*place, "revisions"), report))
        found = frozenset(digest for digest in digests if digest in known)
        manifests: dict[Digest, SourceManifest] = {}
        for digest in digests:
            if digest not in found:
                read = _or_report(partial(self.manifest, digest), f"{name}@{digest}", report)
                if read is not None:
                    manifests[digest] = read
        complete = self._without_incomplete(name, manifests, report)
        self._report_sparse(name, complete, found, report)
        taken = found.union(complete)
        tags = dict(self._tags((*place, "tags"), name, taken, report))
        return SourceRepository(name, tuple(rules.children_first(complete)), found, tags)

    def manifest(self, digest: Digest) -> SourceManifest:
        """Read and check a manifest. Raises SourceFault."""
        payload = self._read(rules.blob_path(digest), MAX_MANIFEST_BYTES)
        if not digest.matches(payload):
            raise SourceFault("The stored manifest does not have its digest.")
        try:
            return SourceManifest(digest, payload, parse_manifest(payload, None))
        except DomainError as error:
            raise SourceFault(error.message) from error

    @contextmanager
    def open_blob(self, digest: Digest) -> Iterator[int]:
        """Open the bytes of a digest for reading. Raises SourceFault."""
        descriptor = self._open_file(rules.blob_path(digest))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def blob_bytes(self, digest: Digest) -> int:
        """Return the size of a blob. Raises SourceFault when it is not there."""
        with self.open_blob(digest) as descriptor:
            return os.fstat(descriptor).st_size

    def _without_incomplete(
        self, name: str, manifests: dict[Digest, SourceManifest], report: Report
    ) -> dict[Digest, SourceManifest]:
        complete: dict[Digest, SourceManifest] = {}
        for digest, manifest in manifests.items():
            where = f"{name}@{digest}"
            faults = list(self._blob_faults(manifest))
            for fault in faults:
                report(Finding(where, f"The manifest is incomplete. {fault}"))
            if not faults:
                complete[digest] = manifest
        return complete

    @staticmethod
    def _report_sparse(
        name: str,
        manifests: dict[Digest, SourceManifest],
        known: frozenset[Digest],
        report: Report,
    ) -> None:
        for digest, manifest in manifests.items():
            for child in rules.missing_children(manifest.parsed, known.union(manifests)):
                reason = f"The index is taken over without its manifest {child}."
                report(Finding(f"{name}@{digest}", reason))

    def _blob_faults(self, manifest: SourceManifest) -> Iterator[str]:
        for blob in rules.required_blobs(manifest.parsed):
            try:
                found = self.blob_bytes(blob.digest)
            except SourceFault as fault:
                yield f"{blob.role.capitalize()} {blob.digest}: {fault}"
                continue
            if found != blob.size:
                yield f"{blob.role.capitalize()} {blob.digest} has {found} bytes, not {blob.size}."

    def _tags(
        self,
        place: tuple[str, ...],
        name: str,
        taken: frozenset[Digest],
        report: Report,
    ) -> Iterator[tuple[str, Digest]]:
        for tag in self._folders(place, report):
            where = f"{name}:{tag}"
            link = (*place, tag, "current", "link")
            digest = _or_report(partial(self._link, link), where, report)
            if digest is None:
                continue
            if not is_tag(tag):
                report(Finding(where, "The name of the tag is not valid."))
            elif digest not in taken:
                report(Finding(where, f"The tag leads to {digest}, which is not taken over."))
            else:
                yield tag, digest

    def _linked_digests(self, place: tuple[str, ...], report: Report) -> Iterator[Digest]:
        for algorithm in self._folders(place, report):
            for encoded in self._folders((*place, algorithm), report):
                path = (*place, algorithm, encoded, "link")
                digest = _or_report(
                    partial(self._revision, algorithm, encoded, path), "/".join(path), report
                )
                if digest is not None:
                    yield digest

    def _revision(self, algorithm: str, encoded: str, path: tuple[str, ...]) -> Digest | None:
        """Return the digest of a revision, None when it was deleted and left its folder."""
        try:
            named = Digest(algorithm, encoded)
        except DigestInvalid as error:
            raise SourceFault("The folder is not named by a digest.") from error
        try:
            linked = self._link(path)
        except _Absent:
            return None
        if linked != named:
            raise SourceFault("The link file holds another digest than its folder is named by.")
        return named

    def _link(self, path: tuple[str, ...]) -> Digest:
        return rules.linked_digest(self._read(path, rules.MAXIMUM_LINK_BYTES))

    def _repositories_below(self, path: tuple[str, ...], report: Report) -> Iterator[str]:
        for name in self._folders(("repositories", *path), report):
            if name == "_manifests" and path:
                yield "/".join(path)
            elif not name.startswith("_"):
                if len(path) >= _DEPTH:
                    report(Finding("/".join(path), "The folders are nested too deep."))
                    continue
                yield from self._repositories_below((*path, name), report)

    def _folders(self, path: tuple[str, ...], report: Report) -> list[str]:
        """Return the names of the folders at a path, sorted; report what looks like a trap."""
        where = "/".join(path)
        try:
            with self._opened(path, _DIRECTORY) as descriptor, os.scandir(descriptor) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except _Absent:
            return []
        except (SourceFault, OSError) as fault:
            report(Finding(where, _reason(fault)))
            return []
        names = []
        for name, facts in sorted(found):
            if not _is_text(name):
                report(Finding(where, "A name in this folder is not text."))
            elif stat.S_ISLNK(facts.st_mode):
                report(Finding(f"{where}/{name}", "Symbolic links are not followed."))
            elif stat.S_ISDIR(facts.st_mode):
                names.append(name)
        return names

    def _read(self, path: tuple[str, ...], limit: int) -> bytes:
        descriptor = self._open_file(path)
        with os.fdopen(descriptor, "rb") as file:
            try:
                content = file.read(limit + 1)
            except OSError as error:
                raise SourceFault(_reason(error)) from error
        if len(content) > limit:
            raise SourceFault(f"The file is larger than {limit} bytes.")
        return content

    def _open_file(self, path: tuple[str, ...]) -> int:
        with self._opened(path[:-1], _DIRECTORY) as folder:
            descriptor = _open(path[-1], _FILE, folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceFault(f"{'/'.join(path)} is not a plain file.")
        return descriptor

    @contextmanager
    def _opened(self, path: tuple[str, ...], flags: int) -> Iterator[int]:
        """Open a folder component by component, so that no link leads anywhere else."""
        descriptor = os.dup(self._root)
        try:
            for component in path:
                below = _open(component, flags, descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


class _Absent(SourceFault):
    """There is nothing at the path."""


def _open_root(path: Path) -> int:
    for candidate in (path / "docker" / "registry" / "v2", path):
        if (candidate / "repositories").is_dir() and (candidate / "blobs").is_dir():
            try:
                # The operator named this path: it alone may be reached through links.
                return os.open(candidate, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise SourceInvalid(f"{candidate} cannot be read: {error.strerror}.") from error
    raise SourceInvalid(
        f"{path} is not the storage directory of a registry: docker/registry/v2 with the folders"
        " repositories and blobs was not found there."
    )


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError as error:
        raise _Absent("It is missing.") from error
    except OSError as error:
        raise SourceFault(_reason(error)) from error


def _or_report(read: Callable[[], Result], where: str, report: Report) -> Result | None:
    try:
        return read()
    except SourceFault as fault:
        report(Finding(where, str(fault)))
        return None


def _reason(fault: Exception) -> str:
    if isinstance(fault, OSError):
        if fault.errno == errno.ELOOP:
            return "Symbolic links are not followed."
        return f"It cannot be read: {fault.strerror}."
    return str(fault)


def _is_text(name: str) -> bool:
    # Names that are not UTF-8 come as surrogates, which cannot be printed or stored.
    return name.isprintable()
