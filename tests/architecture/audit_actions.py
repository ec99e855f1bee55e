"""Which audit actions the code records, read from its syntax trees.

A call of ``record``, ``AuditRecord`` or of any function that hands its own parameter on to one
of them names an action, as text, as a choice between texts, as a constant of the module, or as
a text with parts that only the running code knows, which are written here as ``{name}``.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.architecture.source import Module, written_modules

SINKS = {"record": 0, "AuditRecord": 0}
"""Where actions end: name of the callable and the place of the action among its arguments."""

# Defined in this package, or about something else than audit.
SKIPPED = ("core.audit.",)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Recorded:
    """An action and where the code names it."""

    action: str
    where: str


class Unreadable(Exception):
    """An action is computed in a way that nobody can look up."""


def recorded_actions() -> tuple[Recorded, ...]:
    """Return every action in the code, in order of module and line. Raises Unreadable."""
    return tuple(
        found
        for module in written_modules()
        if not module.name.startswith(SKIPPED) and "audit" in module.text
        for found in actions_of(module)
    )


def actions_of(module: Module) -> Iterator[Recorded]:
    """Yield the actions that one module names. Raises Unreadable."""
    recorders = _recorders(module)
    constants = _constants(module)
    for function, call in _calls(module):
        place = recorders.get(_callee(call))
        if place is None:
            continue
        expression = _argument(call, place)
        if expression is None or _is_own_parameter(expression, function):
            continue
        where = f"{module.relative}:{call.lineno}"
        for action in _texts(expression, constants, where):
            yield Recorded(action, where)


def _recorders(module: Module) -> dict[str, int]:
    """Return the sinks and the module's own functions that pass their action on to one."""
    recorders = dict(SINKS)
    while True:
        found = dict(recorders)
        for function, call in _calls(module):
            place = recorders.get(_callee(call))
            expression = None if place is None else _argument(call, place)
            if function is not None and _is_own_parameter(expression, function):
                assert isinstance(expression, ast.Name)
                found[function.name] = _parameters(function).index(expression.id)
        if found == recorders:
            return recorders
        recorders = found


def _calls(module: Module) -> Iterator[tuple[Function | None, ast.Call]]:
    def visit(
        node: ast.AST, function: Function | None
    ) -> Iterator[tuple[Function | None, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield function, child
            inner = child if isinstance(child, Function) else function
            yield from visit(child, inner)

    yield from visit(module.tree, None)


def _callee(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        # `log.record(...)` and the like: only modules called audit have a `record` of ours.
        owner = call.func.value
        is_ours = isinstance(owner, ast.Name) and (
            "audit" in owner.id or owner.id in ("self", "cls")
        )
        return call.func.attr if is_ours else ""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _argument(call: ast.Call, place: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == "action":
            return keyword.value
    return call.args[place] if len(call.args) > place else None


def _parameters(function: Function) -> list[str]:
    names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    return names + [argument.arg for argument in function.args.kwonlyargs]


def _is_own_parameter(expression: ast.expr | None, function: Function | None) -> bool:
    return (
        function is not None
        and isinstance(expression, ast.Name)
        and expression.id in _parameters(function)
    )


def _constants(module: Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _texts(expression: ast.expr, constants: dict[str, ast.expr], where: str) -> Iterator[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.IfExp):
        yield from _texts(expression.body, constants, where)
        yield from _texts(expression.orelse, constants, where)
    elif isinstance(expression, ast.Name) and expression.id in constants:
        yield from _texts(constants[expression.id], constants, where)
    elif isinstance(expression, ast.Subscript) and isinstance(expression.value, ast.Name):
        yield from _texts(expression.value, constants, where)
    elif isinstance(expression, ast.Dict):
        for value in expression.values:
            yield from _texts(value, constants, where)
    elif isinstance(expression, ast.JoinedStr):
        yield "".join(_part(part, where) for part in expression.values)
    else:
        raise Unreadable(f"{where}: {ast.unparse(expression)} is no action anybody can look up")


def _part(part: ast.expr, where: str) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
        return f"{{{part.value.id}}}"
    raise Unreadable(f"{where}: a part of an action has no name")
