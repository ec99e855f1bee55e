"""Records the system calls that durability depends on, in their order."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


class SyscallRecorder:
    """Remembers the order of the calls that durability depends on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._root = root
        for name in ("fdatasync", "fsync", "pwrite"):
            monkeypatch.setattr(os, name, self._on_descriptor(name, getattr(os, name)))
        rename = os.rename

        def recorded_rename(source: Path, target: Path) -> None:
            self.calls.append(("rename", self._name(source), self._name(target)))
            rename(source, target)

        monkeypatch.setattr(os, "rename", recorded_rename)

    def _on_descriptor(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def recorded(descriptor: int, *rest: object) -> object:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self.calls.append((name, self._name(Path(path))))
            return real(descriptor, *rest)

        return recorded

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root.resolve()))
