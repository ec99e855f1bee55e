"""What a disk may hold after the power has failed, built from the system calls before.

The rules are those of POSIX and of the file systems that keep least: bytes are safe when a
sync of their file has returned, names when a sync of their directory has. Of everything else
any part may be there. The database keeps its own promise (a commit is answered when its log
is synced), so its files are left alone.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.faults.strace import SystemCall

_IGNORED = frozenset({"sendfile", "sendto", "sendmsg", "sendmmsg"})


class Survival(StrEnum):
    """What of the unsafe part survives."""

    NOTHING = "nothing that is not synced"
    NAMES = "names, not the bytes"
    ZEROES = "names and lengths, zeroes for bytes"
    BYTES = "bytes, not the names"
    ALL = "everything"


@dataclass(eq=False)
class _File:
    """The content of one file, whatever its names."""

    content: bytes | bytearray
    safe: bytes

    @property
    def changeable(self) -> bytearray:
        """The content, which is copied when it is changed for the first time."""
        if isinstance(self.content, bytes):
            self.content = bytearray(self.content)
        return self.content

    def survivor(self, survival: Survival) -> bytes:
        if survival in (Survival.BYTES, Survival.ALL):
            return bytes(self.content)
        if survival is Survival.ZEROES:
            missing = max(0, len(self.content) - len(self.safe))
            return self.safe + bytes(missing)
        return self.safe


@dataclass
class Disk:
    """A storage directory on a disk whose power may fail at any time."""

    root: Path
    now: dict[str, _File] = field(default_factory=dict)
    """Names below the root as running processes see them."""
    safe: dict[str, _File] = field(default_factory=dict)
    """Names that a sync has made durable."""

    @classmethod
    def as_it_is(cls, root: Path) -> "Disk":
        """Take everything that is there now for safe."""
        disk = cls(root.resolve())
        for path in disk.root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                disk.now[str(path.relative_to(disk.root))] = _File(content, content)
        disk.safe = dict(disk.now)
        return disk

    def apply(self, call: SystemCall) -> bool:
        """Follow one call; say whether it belongs to this directory. Raises AssertionError.

        A call that this model does not know fails the test: it would be right by accident.
        """
        names = [self._below(os.fsdecode(each)) for each in call.strings[:2]]
        file = self._below(call.file)
        if call.result < 0 or call.name in _IGNORED:
            return False
        if call.name == "openat":
            return self._open(call, names[0] if names else None)
        if call.name in ("pwrite64", "ftruncate", "fdatasync", "fsync", "write"):
            return file is not None and self._change(call, file)
        if call.name in ("rename", "unlink"):
            return self._rename(call.name, [name for name in names if name is not None])
        is_ours = file is not None or any(names)
        assert not is_ours, f"the model does not know {call.name}({call.arguments[:300]})"
        return False

    def survivors(self, survival: Survival) -> dict[str, bytes]:
        """Return the files after a power failure at this moment."""
        keeps_names = survival in (Survival.NAMES, Survival.ZEROES, Survival.ALL)
        return {
            name: file.survivor(survival)
            for name, file in (self.now if keeps_names else self.safe).items()
        }

    def _below(self, path: str) -> str | None:
        """Return the name below the root; an empty text for the root itself, else None."""
        path = path.removesuffix(" (deleted)")
        if path == str(self.root):
            return ""
        begin = f"{self.root}/"
        return path.removeprefix(begin) if path.startswith(begin) else None

    def _open(self, call: SystemCall, name: str | None) -> bool:
        if name is None or "O_CREAT" not in call.arguments or name in self.now:
            assert name is None or "O_TRUNC" not in call.arguments
            return False
        self.now[name] = _File(b"", b"")
        return True

    def _change(self, call: SystemCall, name: str) -> bool:
        if name not in self.now:
            if call.name == "fsync":
                self._sync_names(name)
                return True
            # A file that was removed while it is still open: nobody will see its bytes.
            return False
        file = self.now[name]
        if call.name == "pwrite64":
            offset, data = call.last_number, call.strings[0][: call.result]
            assert len(data) == call.result, "strace has cut the bytes off"
            content = file.changeable
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        elif call.name == "ftruncate":
            del file.changeable[call.last_number :]
        elif call.name in ("fdatasync", "fsync"):
            file.safe = bytes(file.content)
        else:
            raise AssertionError(f"the model does not know {call.name} on a file")
        return True

    def _sync_names(self, directory: str) -> None:
        def is_inside(name: str) -> bool:
            return str(Path(name).parent) == (directory or ".")

        kept = {name: file for name, file in self.safe.items() if not is_inside(name)}
        self.safe = kept | {name: file for name, file in self.now.items() if is_inside(name)}

    def _rename(self, name: str, files: list[str]) -> bool:
        if not files:
            return False
        moved = self.now.pop(files[0], None)
        if name == "rename":
            assert moved is not None, files
            assert len(files) == 2, files
            self.now[files[1]] = moved
        return True


def moments(disk: Disk, calls: list[SystemCall]) -> Iterator[tuple[int, SystemCall]]:
    """Follow the calls; after each that changed the disk, give its place in the order."""
    for call in sorted(calls, key=lambda each: each.ended):
        if disk.apply(call):
            yield call.ended, call


def rebuild(root: Path, files: Mapping[str, bytes]) -> None:
    """Make the directory hold these files and no others; its folders stay."""
    for path in root.rglob("*"):
        if path.is_file() and str(path.relative_to(root)) not in files:
            path.unlink()
    for name, content in files.items():
        path = root / name
        if not path.is_file() or path.read_bytes() != content:
            fresh = path.with_name(f"{path.name}.rebuilt")
            fresh.write_bytes(content)
            shutil.copymode(path if path.exists() else root / "layout", fresh)
            fresh.rename(path)
