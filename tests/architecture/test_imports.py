"""The import contracts of pyproject.toml hold, and each of them notices a violation.

The graph of imports is built once from the real code; every case adds the imports that a
careless change would bring to a copy of it and asks the one contract that must object.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.application import use_cases
from importlinter.domain.contract import Contract, registry

from tests.architecture.source import ROOT, TREES, features

pytestmark = pytest.mark.architecture

TREES_CONTRACT = "Trees: peers over core"
TOLD = "Core is told, never asks"
COMPOSITION_ROOT = "Nobody imports the composition root"
ORDER = "Features in their order, over the platform"
SLOTS = "Slots inside a feature"
RING = "Features form no ring"
PURE = "Pure stays pure"
KNOWN = (TREES_CONTRACT, TOLD, COMPOSITION_ROOT, ORDER, SLOTS, RING, PURE)

# What somebody might import in haste, and the contract that must catch it.
VIOLATIONS = (
    (TREES_CONTRACT, [("core.users.services", "jobservice.runs.services")]),
    (TREES_CONTRACT, [("registry_api.errors", "jobservice.runs.services")]),
    (TREES_CONTRACT, [("jobservice.runs.services", "registry_api.errors")]),
    (TREES_CONTRACT, [("jobservice.runs.services", "webui")]),
    (TOLD, [("core.projects.services", "celery")]),
    (TOLD, [("core.artifacts.models", "registry_api.errors")]),
    (TOLD, [("core.robots.services", "core.config.env")]),
    (COMPOSITION_ROOT, [("registry_api.errors", "core.config.env")]),
    (COMPOSITION_ROOT, [("jobservice.worker.app", "core.config.settings")]),
    (ORDER, [("core.users.services", "core.projects.models")]),
    (ORDER, [("core.blobs.services", "core.artifacts.models")]),
    (ORDER, [("core.rbac.services", "core.members.models")]),
    (ORDER, [("core.common.errors", "core.oci.digest")]),
    (ORDER, [("core.robots.services", "core.grants.services")]),
    (SLOTS, [("core.users.models", "core.users.services")]),
    (SLOTS, [("core.robots.rules", "core.robots.models")]),
    (SLOTS, [("core.members.queries", "core.members.services")]),
    (SLOTS, [("jobservice.runs.services", "jobservice.runs.tasks")]),
    (
        RING,
        [
            ("jobservice.runs.services", "jobservice.housekeeping.schedules"),
            ("jobservice.housekeeping.schedules", "jobservice.runs.services"),
        ],
    ),
    (PURE, [("core.oci.digest", "django")]),
    (PURE, [("core.common.errors", "rest_framework")]),
    (PURE, [("core.robots.rules", "redis")]),
    (PURE, [("jobservice.runs.rules", "celery")]),
)

ContractNamed = Callable[[str], Contract]


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    configuration = read_configuration(str(ROOT / "pyproject.toml"))
    use_cases._register_contract_types(use_cases.read_user_options(str(ROOT / "pyproject.toml")))
    return configuration


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        *TREES, include_external_packages=True, exclude_type_checking_imports=False, cache_dir=None
    )


@pytest.fixture(scope="module")
def contract_named(options: dict[str, Any]) -> ContractNamed:
    by_name = {one["name"]: one for one in options["contracts_options"]}

    def make(name: str) -> Contract:
        return registry.get_contract_class(by_name[name]["type"])(
            name=name,
            session_options=options["session_options"],
            contract_options=by_name[name],
        )

    return make


def is_kept(contract: Contract, graph: grimp.ImportGraph) -> bool:
    return bool(contract.check(deepcopy(graph), verbose=False).kept)


def test_the_contracts_are_those_that_are_tried_here(options: dict[str, Any]) -> None:
    assert sorted(one["name"] for one in options["contracts_options"]) == sorted(KNOWN)
    assert {name for name, _imports in VIOLATIONS} == set(KNOWN)


def test_the_graph_holds_the_product(graph: grimp.ImportGraph) -> None:
    assert len(graph.modules) > 200
    assert graph.find_modules_that_directly_import("core.common.errors")
    assert "django" in graph.modules


@pytest.mark.parametrize("name", KNOWN)
def test_the_code_keeps_the_contract(
    name: str, graph: grimp.ImportGraph, contract_named: ContractNamed
) -> None:
    assert is_kept(contract_named(name), graph), f"run lint-imports: {name!r} is broken"


@pytest.mark.parametrize(("name", "imports"), VIOLATIONS)
def test_the_contract_notices(
    name: str,
    imports: list[tuple[str, str]],
    graph: grimp.ImportGraph,
    contract_named: ContractNamed,
) -> None:
    contract, careless = contract_named(name), deepcopy(graph)
    assert is_kept(contract, graph), f"{name!r} is broken already, which hides this case"
    for importer, imported in imports:
        assert importer in graph.modules
        careless.add_import(importer=importer, imported=imported)
    assert not is_kept(contract, careless)


def test_every_feature_is_under_the_contracts(options: dict[str, Any]) -> None:
    by_name = {one["name"]: one for one in options["contracts_options"]}
    slots = set(by_name[SLOTS]["containers"])
    told = set(by_name[TOLD]["source_modules"])
    assert len(features()) >= 10
    for feature in features():
        assert feature in slots, f"{feature} is no container of the contract on slots"
        if feature.startswith("core."):
            assert feature in told, f"{feature} is no source of the contract {TOLD!r}"


def test_no_contract_can_be_ignored_by_accident(options: dict[str, Any]) -> None:
    assert options["session_options"]["unmatched_ignore_imports_alerting"] == "error"
    ignored = [
        one
        for contract in options["contracts_options"]
        for one in contract.get("ignore_imports", ())
    ]
    # Each of these stands in pyproject.toml with its reason.
    assert sorted(ignored) == [
        "core.config.parts -> jobservice.runs.scheduler",
        "core.config.parts -> jobservice.worker.app",
    ]
