"""Every feature folder looks the same, and its tests stand where its code does."""

import ast
import re

import pytest

from tests.architecture.source import (
    PLATFORM,
    ROOT,
    Module,
    feature_of,
    features,
    module_named,
    modules,
)

pytestmark = pytest.mark.architecture

SLOTS = frozenset(
    {
        "__init__",
        "apps",
        "authenticator",
        "commands",
        "errors",
        "events",
        "models",
        "queries",
        "rules",
        "scheduler",
        "schedules",
        "services",
        "subscribers",
        "tasks",
        "types",
    }
)
API_SLOTS = frozenset({"__init__", "filters", "serializers", "urls", "views"})

# What stands in an __init__ file beside its docstring, and why.
INIT_CODE = {"core": "the version, which packaging reads from there"}

# Slots that a feature's own tests must use.
TESTED_SLOTS = ("rules", "services", "authenticator", "commands")
FEWEST_TESTS = 3


def feature_modules() -> list[Module]:
    return [
        module
        for module in modules()
        if feature_of(module) in features() and not module.is_migration
    ]


def test_features_and_platform_are_told_apart() -> None:
    assert len(features()) >= 10
    for name in PLATFORM:
        assert (ROOT / name.replace(".", "/") / "__init__.py").is_file(), f"{name} is gone"


def test_files_have_the_names_of_slots_or_a_reason() -> None:
    unexplained, checked = [], 0
    for module in feature_modules():
        checked += 1
        explainer = explained_by(module)
        if explainer is None:
            continue
        docstring = module_named(explainer).docstring
        if not re.search(rf"\b{re.escape(module.name.removeprefix(explainer)[1:])}\b", docstring):
            unexplained.append(f"{module.relative}: say in the docstring of {explainer} why")
    assert checked > 60
    assert unexplained == []


def explained_by(module: Module) -> str | None:
    """Return the package whose docstring must name the module; None for slots."""
    feature, parts = feature_of(module), module.name.split(".")[2:]
    if len(parts) < 2:
        return None if not parts or parts[0] in SLOTS | {"api"} else feature
    if parts[0] == "api":
        return None if parts[1] in API_SLOTS else f"{feature}.api"
    # A slot that outgrew one file is a package; its docstring names its modules.
    return f"{feature}.{parts[0]}"


def test_init_files_hold_a_docstring_and_nothing_else() -> None:
    checked = 0
    for module in modules():
        if module.path.name != "__init__.py" or module.is_migration:
            continue
        checked += 1
        code = [
            statement
            for statement in module.tree.body
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        ]
        assert module.docstring, f"{module.relative} does not say what the package is"
        assert not code or module.name in INIT_CODE, f"{module.relative} holds code"
    assert checked > 20


def test_every_module_says_what_it_is() -> None:
    written = [module for module in modules() if not module.is_migration]
    assert len(written) > 150
    silent = [module.relative for module in written if not module.docstring]
    assert silent == []


@pytest.mark.parametrize("feature", features())
def test_the_feature_has_tests_in_its_mirror(feature: str) -> None:
    mirror = ROOT / "tests" / feature.replace(".", "/")
    texts = {path.name: path.read_text(encoding="utf-8") for path in mirror.glob("test_*.py")}
    tests = sum(len(re.findall(r"(?m)^(?:async )?def test_", text)) for text in texts.values())
    assert tests >= FEWEST_TESTS, f"{feature} has {tests} tests in {mirror.relative_to(ROOT)}"
    folder, together = ROOT / feature.replace(".", "/"), "\n".join(texts.values())
    for slot in TESTED_SLOTS:
        if (folder / f"{slot}.py").exists() or (folder / slot).is_dir():
            assert _uses(together, feature, slot), f"no test of {feature} uses its {slot}"
    if (folder / "rules.py").exists():
        assert "test_rules.py" in texts, f"{feature} has rules without test_rules.py"
    if (folder / "api" / "urls.py").exists():
        assert any(name.startswith("test_api") for name in texts), f"{feature}: no test_api*.py"


def _uses(text: str, feature: str, slot: str) -> bool:
    dotted = re.escape(feature)
    imported = rf"from {dotted} import [^\n]*\b{slot}\b|from {dotted}\.{slot}\b"
    named = rf"(?:import |[\"']){dotted}\.{slot}\b"
    in_parentheses = rf"from {dotted} import \([^)]*\b{slot}\b"
    return re.search(f"{imported}|{named}|{in_parentheses}", text) is not None


def test_every_folder_of_tests_mirrors_one_of_the_code() -> None:
    mirrored = 0
    for tree in ("core", "jobservice"):
        for folder in (ROOT / "tests" / tree).iterdir():
            if not folder.is_dir() or folder.name.startswith(("_", ".")):
                continue
            mirrored += 1
            assert (ROOT / tree / folder.name).is_dir(), f"{folder} mirrors nothing"
    assert mirrored > 10


def test_pages_carry_the_names_of_features() -> None:
    pages = ROOT / "webui" / "features"
    if not pages.is_dir():
        # No pages yet. The package is there, so that they find their place.
        assert (ROOT / "webui" / "__init__.py").is_file()
        return
    known = {feature.partition(".")[2] for feature in features()}
    for folder in pages.iterdir():
        if folder.is_dir() and not folder.name.startswith("_"):
            assert folder.name in known, f"{folder} carries the name of no feature"
