"""Every write says who did it."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, written_modules

pytestmark = pytest.mark.architecture

# Writes that nobody in particular asks for, each with the reason why no actor is named.
WITHOUT_ACTOR = {
    "jobservice.runs.services.claim": "a worker takes a run that its actor asked for",
    "jobservice.runs.services.finish": "a worker reports on a run that its actor asked for",
    "jobservice.runs.services.declare_schedules": "the product's own schedules, at its start",
    "jobservice.runs.services.delete_finished": "housekeeping of its own rows",
    "core.artifacts.pulls.fold_pull_records": "counts what actors did; each is in the audit log",
    "core.artifacts.services.manifests._store_push": "the actor is part of the push it is given",
    "core.audit.services.pack_again": "copies what is there",
    "core.audit.services.recount": "counts what is there",
    "core.audit.services.settle_counts": "adds up counts that a trigger has written",
    "core.audit.services.settle_stretches": "puts rows together that a trigger has written",
    "core.authn.services.delete_expired": "housekeeping of rows that are past their use",
    "core.authn.services.ensure_signing_key": "names Actor.system() itself",
    "core.users.services.ensure_registration_open": "reads under a lock and changes nothing",
    "core.trash.services.let_go_of_expired": "housekeeping of entries that are past their time",
    "core.blobs.moving._adopt_locked": "the actor of the whole migration is in its audit entry",
    "core.blobs.moving._reserve": "the actor of the whole migration is in its audit entry",
    "core.quotas.services.fold_usage": "adds up what actors did; each is in the audit log",
    "core.usage.services._count_and_keep": "counts what is there",
    "core.users.services._create_first_administrator": "names Actor.system() itself",
}


def durable_writes() -> dict[str, ast.FunctionDef]:
    return {
        name: function
        for module in written_modules()
        for name, function in durable_writes_of(module)
    }


def durable_writes_of(module: Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and _is_durable(node):
            yield f"{module.name}.{node.name}", node
    for alias, function in _wrapped(module):
        yield f"{module.name}.{alias}", function


def _is_durable(function: ast.FunctionDef) -> bool:
    return any(_name(decorator) == "durable_write" for decorator in function.decorator_list)


def _wrapped(module: Module) -> list[tuple[str, ast.FunctionDef]]:
    """Find ``name = durable_write(function)``."""
    functions = {node.name: node for node in module.tree.body if isinstance(node, ast.FunctionDef)}
    return [
        (_name(node.targets[0]), functions[_name(node.value.args[0])])
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and _name(node.value.func) == "durable_write"
    ]


def _name(node: ast.expr) -> str:
    """Return the last name of ``a.b`` or ``b``; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def takes_actor_by_keyword(function: ast.FunctionDef) -> bool:
    return any(argument.arg == "actor" for argument in function.args.kwonlyargs)


def test_every_durable_write_takes_a_keyword_only_actor() -> None:
    writes = durable_writes()
    assert len(writes) > 30
    for name, function in writes.items():
        if name in WITHOUT_ACTOR:
            continue
        assert takes_actor_by_keyword(function), f"{name} does not take actor by keyword"


def test_exceptions_are_still_needed() -> None:
    writes = durable_writes()
    for name in WITHOUT_ACTOR:
        assert name in writes, f"{name} is gone; remove it from the exceptions"
        assert not takes_actor_by_keyword(writes[name]), f"{name} takes an actor by now"


def test_actor_is_never_positional() -> None:
    checked = 0
    for module in written_modules():
        if (
            not module.name.split(".")[-1].startswith("services")
            and ".services." not in module.name
        ):
            continue
        for node in module.tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            if module.name.startswith(("core.audit.", "core.rbac.")):
                # Both speak of the actor itself; it is their first argument.
                continue
            checked += 1
            positional = [argument.arg for argument in node.args.args]
            if "actor" in positional:
                assert positional == ["actor"], f"{module.name}.{node.name} takes actor by place"
    assert checked > 40


def test_transactions_are_opened_by_services_only() -> None:
    """No view, task, command or command line opens a transaction around a service."""
    edges = [
        module
        for module in written_modules()
        if {"api", "tasks", "commands"} & set(module.name.split("."))
        or module.name.startswith("registry_api.")
    ]
    assert len(edges) > 30
    for module in edges:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr == "atomic":
                raise AssertionError(f"{module.relative}:{node.lineno} opens a transaction")
