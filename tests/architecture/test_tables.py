"""Tables: foreign keys point the way imports do, and migrations tell what they do."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import Field, ForeignKey, Model

from tests.architecture.source import ROOT, layer_order, modules

pytestmark = pytest.mark.architecture

NAME = re.compile(r"(?P<number>\d{4})_(?P<words>[a-z][a-z0-9]*(?:_[a-z0-9]+)*)")
# What Django calls a migration that nobody named.
UNNAMED = re.compile(r"auto_|initial$|alter_.*_|.*_and_more$|rename_.*_to_|remove_.*_and_")


def own_models() -> list[type[Model]]:
    return [model for model in apps.get_models() if model.__module__.split(".")[0] in _TREES]


_TREES = ("core", "jobservice")


def _feature(model: type[Model]) -> str:
    return ".".join(model.__module__.split(".")[:2])


def test_foreign_keys_point_the_way_imports_do() -> None:
    bands = layer_order()
    assert {"core.users", "core.artifacts", "core.rbac"} <= set(bands)
    checked = 0
    for model in own_models():
        for field in model._meta.get_fields():
            if not isinstance(field, ForeignKey) or field.related_model not in own_models():
                continue
            source, target = _feature(model), _feature(field.related_model)
            if source == target:
                continue
            checked += 1
            if source.startswith("jobservice.") and target.startswith("core."):
                continue
            assert source in bands, f"{source} has no place in the order"
            assert target in bands, f"{model.__name__}.{field.name} points out of core"
            assert bands[target] < bands[source], (
                f"{model.__name__}.{field.name} points up, from {source} to {target}"
            )
    assert checked >= 10


def test_audit_entries_point_at_nothing() -> None:
    """They are plain values, which is why they outlive what they name."""
    entry = apps.get_model("audit", "AuditEntry")
    relations = [field.name for field in entry._meta.get_fields() if field.is_relation]
    assert len(entry._meta.get_fields()) > 10
    assert relations == []


def test_every_instant_is_named_at() -> None:
    checked = 0
    for model in own_models():
        for field in model._meta.get_fields():
            if isinstance(field, Field) and field.get_internal_type() == "DateTimeField":
                if field.name == "last_login":  # Django's own column of its base class.
                    continue
                checked += 1
                assert field.name.endswith(("_at", "_until")), f"{model.__name__}.{field.name}"
    assert checked > 30


def migrations() -> list[Path]:
    return [
        module.path
        for module in modules()
        if module.is_migration and module.path.name != "__init__.py"
    ]


def test_every_migration_has_a_name_that_says_what_it_does() -> None:
    found = migrations()
    assert len(found) >= 10
    for path in found:
        match = NAME.fullmatch(path.stem)
        assert match is not None, f"{path.relative_to(ROOT)} is not NNNN_words"
        assert not UNNAMED.match(match["words"]), f"{path.relative_to(ROOT)} has no real name"


def test_numbers_of_migrations_follow_each_other() -> None:
    by_feature: dict[Path, list[int]] = {}
    for path in migrations():
        by_feature.setdefault(path.parent, []).append(int(path.name[:4]))
    assert len(by_feature) >= 10
    for folder, numbers in by_feature.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), folder.relative_to(ROOT)


def test_models_and_migrations_agree() -> None:
    """The same answer as ``makemigrations --check``, without asking the database."""
    loader = MigrationLoader(None)
    assert len(loader.disk_migrations or {}) > 10
    assert not loader.detect_conflicts()
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(
        graph=loader.graph
    )
    missing = {
        label: [str(operation) for migration in found for operation in migration.operations]
        for label, found in changes.items()
        if apps.get_app_config(label).name.split(".")[0] in _TREES
    }
    assert missing == {}


def test_every_feature_with_tables_is_installed() -> None:
    with_models = {
        ".".join(module.name.split(".")[:2])
        for module in modules()
        if module.name.endswith(".models") and len(module.name.split(".")) == 3
    }
    assert len(with_models) >= 10
    assert with_models <= set(settings.INSTALLED_APPS)
