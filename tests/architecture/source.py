"""The product's source as these tests see it: modules, their syntax trees, features, tables."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TREES = ("core", "registry_api", "jobservice", "webui")

# Folders of `core` and `jobservice` that are no features: what all features stand on.
PLATFORM = frozenset(
    {
        "core.api",
        "core.audit",
        "core.common",
        "core.config",
        "core.database",
        "core.events",
        "core.oci",
        "core.rbac",
        "core.storage",
        "core.system_settings",
        "jobservice.worker",
    }
)


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its dotted name, its place, its text and its syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def relative(self) -> str:
        """Path below the root of the project."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def is_migration(self) -> bool:
        """Whether it is generated from models rather than written."""
        return "migrations" in self.path.parts

    @property
    def docstring(self) -> str:
        """The module's docstring, or an empty text."""
        return ast.get_docstring(self.tree) or ""


@cache
def modules() -> tuple[Module, ...]:
    """Return every source file of the product, migrations included, tests not."""
    return tuple(
        _read(path)
        for tree in TREES
        for path in sorted((ROOT / tree).rglob("*.py"))
        if "__pycache__" not in path.parts
    )


def written_modules() -> tuple[Module, ...]:
    """Return every source file of the product that is not a migration."""
    return tuple(module for module in modules() if not module.is_migration)


def module_named(name: str) -> Module:
    """Return the module with that dotted name. Raises KeyError."""
    return {module.name: module for module in modules()}[name]


@cache
def features() -> tuple[str, ...]:
    """Return the dotted names of all feature folders, such as ``core.users``."""
    return tuple(
        f"{tree}.{folder.name}"
        for tree in ("core", "jobservice")
        for folder in sorted((ROOT / tree).iterdir())
        if (folder / "__init__.py").is_file() and f"{tree}.{folder.name}" not in PLATFORM
    )


def feature_of(module: Module) -> str:
    """Return the first two components of a module's name, which name its feature."""
    return ".".join(module.name.split(".")[:2])


@cache
def import_everything() -> int:
    """Import every module that can be imported without side effects; return how many.

    Subclasses then know all of theirs. The entry points of processes are left out.
    """
    imported = 0
    for tree in TREES:
        package = importlib.import_module(tree)
        for found in pkgutil.walk_packages(package.__path__, f"{tree}."):
            if found.name.startswith("core.config."):
                continue
            importlib.import_module(found.name)
            imported += 1
    return imported


@cache
def project_file() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def layer_order() -> dict[str, int]:
    """Return the band of each folder of `core`, as the import contract has it; 0 is lowest."""
    contract = next(
        contract
        for contract in project_file()["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract.get("containers") == ["core"]
    )
    return {
        f"core.{name.strip()}": band
        for band, layer in enumerate(reversed(contract["layers"]))
        for name in layer.split("|")
    }


def table_rows(page: str, heading: str) -> list[list[str]]:
    """Return the body rows of the first table below a heading of a page in `docs`.

    Cells are stripped, and lose their backticks.
    """
    lines = iter((DOCS / page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if re.fullmatch(rf"#+ {re.escape(heading)}", line):
            break
    else:
        raise AssertionError(f"docs/{page} has no heading {heading!r}")
    rows = [_cells(line) for line in _first_table(lines)]
    assert len(rows) > 2, f"docs/{page} has no table below {heading!r}"
    return rows[2:]


def _first_table(lines: Iterator[str]) -> Iterator[str]:
    started = False
    for line in lines:
        if line.startswith("|"):
            started = True
            yield line
        elif started or line.startswith("#"):
            return


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.replace("`", "").strip() for cell in cells]


def _read(path: Path) -> Module:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    text = path.read_text(encoding="utf-8")
    return Module(".".join(parts), path, text, ast.parse(text, filename=str(path)))
