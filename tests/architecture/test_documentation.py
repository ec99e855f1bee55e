"""The reference pages say what the code does: each thing once, nothing that is gone."""

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps

from core.api.errors import RESPONSES, exception_handler
from core.common.errors import DomainError, ErrorKind
from core.config import env
from core.grants.rules import PERMISSIONS_OF_RIGHT, right_of
from core.projects.rules import METADATA
from core.rbac.permissions import (
    PROJECT_PERMISSIONS,
    PROJECT_ROBOT_PERMISSIONS,
    SYSTEM_PERMISSIONS,
    SYSTEM_ROBOT_PERMISSIONS,
)
from core.rbac.roles import BUILT_IN_ROLE_IDS, BUILT_IN_ROLES, PUBLIC_PERMISSIONS
from core.rbac.rules import SCOPES
from core.system_settings.types import DECLARED, DEFAULTS
from registry_api.errors import CODE_OF_KIND, TABLE, code_of
from tests.architecture.audit_actions import recorded_actions
from tests.architecture.source import (
    DOCS,
    PLATFORM,
    ROOT,
    features,
    import_everything,
    modules,
    project_file,
    table_rows,
    written_modules,
)

pytestmark = pytest.mark.architecture

NOTHING = "-"


def assert_once(documented: Iterable[str], existing: Iterable[str]) -> None:
    """Fail with the differences: what is missing, what is gone, what is there twice."""
    counted = Counter(documented)
    expected = set(existing)
    assert expected
    assert {
        "missing in the page": sorted(expected - set(counted)),
        "gone from the code": sorted(set(counted) - expected),
        "documented twice": sorted(name for name, count in counted.items() if count > 1),
    } == {"missing in the page": [], "gone from the code": [], "documented twice": []}


# --- Settings -------------------------------------------------------------------

CONFIGURATION = "operations/configuration.md"


def test_every_setting_is_documented_once_with_its_default_and_meaning() -> None:
    shown = {setting.name: setting for setting in env.load({}).shown}
    rows = {row[0]: row for row in table_rows(CONFIGURATION, "Settings")}
    assert len(shown) >= 15
    assert_once([row[0] for row in table_rows(CONFIGURATION, "Settings")], shown)
    for name, setting in shown.items():
        _name, default, _file, meaning = rows[name]
        # Directories are shown with the place they are resolved to.
        expected = setting.value.removeprefix(f"{Path.cwd()}/") or NOTHING
        assert default == expected, f"{name}: the default is {expected}"
        assert meaning == setting.meaning, f"{name}: {setting.meaning}"


def test_settings_that_can_come_from_a_file_are_marked(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("postgresql://user:password@host:5432/a-text-long-enough-for-any-secret")
    marked = 0
    for name, _default, from_file, _meaning in table_rows(CONFIGURATION, "Settings"):
        try:
            env.load({f"{name}_FILE": str(file)})
            is_known = True
        except env.ConfigurationError as error:
            is_known = "is not a setting" not in str(error)
        assert from_file == ("yes" if is_known else NOTHING), f"{name}_FILE"
        marked += is_known
    assert marked >= 4


def test_all_metadata_of_projects_are_documented() -> None:
    rows = table_rows("management-api.md", "Metadata of projects")
    assert len(METADATA) >= 15
    assert_once([row[0] for row in rows], METADATA)


def test_every_run_time_setting_is_documented_once_with_its_default() -> None:
    rows = table_rows(CONFIGURATION, "Run-time settings")
    assert_once([row[0] for row in rows], DECLARED)
    for name, default, counts, meaning in rows:
        value = getattr(DEFAULTS, name)
        expected = str(value).lower() if isinstance(value, bool) else str(value) or NOTHING
        assert default == expected, f"{name}: the default is {expected}"
        assert counts == "at once" or re.fullmatch(r"within \d s", counts), name
        assert len(meaning) > 10, name


# --- Errors ---------------------------------------------------------------------


def domain_errors() -> list[type[DomainError]]:
    import_everything()
    found: list[type[DomainError]] = []
    waiting = [DomainError]
    while waiting:
        for error in waiting.pop().__subclasses__():
            waiting.append(error)
            if error.__module__.startswith(("core.", "registry_api.", "jobservice.", "webui.")):
                found.append(error)
    return found


def test_every_error_code_is_documented_once() -> None:
    by_code: dict[tuple[str, ErrorKind], list[type[DomainError]]] = defaultdict(list)
    for error in domain_errors():
        by_code[error.code, error.kind].append(error)
    assert len(by_code) > 40
    rows = table_rows("errors.md", "Refusals")
    assert_once(
        [f"{code} {kind}" for code, kind, *_rest in rows],
        [f"{code} {kind}" for code, kind in by_code],
    )
    for code, kind, status, registry_code, classes, meaning in rows:
        errors = by_code[code, ErrorKind(kind)]
        assert status == str(_management_status(errors[0])), code
        assert registry_code == code_of(_bare(errors[0])), code
        assert classes == ", ".join(sorted({error.__name__ for error in errors})), code
        assert len(meaning) > 10, f"{code} has no meaning"


def _bare(error: type[DomainError]) -> DomainError:
    """Return an instance whatever the class asks for, with its default message."""
    bare = DomainError.__new__(error)
    DomainError.__init__(bare)
    return bare


def _management_status(error: type[DomainError]) -> int:
    return exception_handler(_bare(error), {}).status_code


def test_error_codes_are_identifiers() -> None:
    errors = domain_errors()
    assert len(errors) > 50
    for error in errors:
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.code), error
        assert error.__doc__, error
        assert len(error.default_message) > 5, error


def test_every_kind_is_documented_with_what_the_surfaces_make_of_it() -> None:
    rows = table_rows("errors.md", "Kinds")
    assert_once([row[0] for row in rows], [str(kind) for kind in ErrorKind])
    for name, status, management_code, registry_code, meaning in rows:
        kind = ErrorKind(name)
        assert (int(status), management_code) == RESPONSES[kind], name
        assert registry_code == CODE_OF_KIND[kind], name
        assert len(meaning) > 10


def test_every_code_of_the_distribution_api_is_documented_once() -> None:
    rows = table_rows("errors.md", "Codes of the distribution API")
    assert_once([row[0] for row in rows], TABLE)
    for code, status, message in rows:
        assert (int(status), message) == tuple(TABLE[code]), code


# --- Audit ----------------------------------------------------------------------


def test_every_audit_action_is_documented_once() -> None:
    actions = {found.action for found in recorded_actions()}
    assert len(actions) > 30
    rows = table_rows("audit-actions.md", "Actions")
    assert_once([row[0] for row in rows], actions)
    for action, when, target in rows:
        assert len(when) > 10, action
        assert target, action


def test_audit_actions_have_one_form() -> None:
    found = recorded_actions()
    assert len(found) > 30
    for one in found:
        assert re.fullmatch(r"[a-z_]+\.([a-z_]+\.)?([a-z_]+|\{[a-z_]+\})", one.action), one


# --- Permissions ----------------------------------------------------------------

ROLE_COLUMNS = ("limitedGuest", "guest", "developer", "maintainer", "projectAdmin")


def _held(rows: list[list[str]], column: int) -> set[str]:
    return {
        f"{row[0]}:{verb}"
        for row in rows
        if row[column] != NOTHING
        for verb in row[column].split(", ")
    }


def test_the_matrix_of_roles_is_that_of_the_code() -> None:
    rows = table_rows("permissions.md", "Roles")
    assert_once([row[0] for row in rows], {name.partition(":")[0] for name in PROJECT_PERMISSIONS})
    assert set(ROLE_COLUMNS) == set(BUILT_IN_ROLES)
    assert _held(rows, 1) == PUBLIC_PERMISSIONS
    for column, role in enumerate(ROLE_COLUMNS, start=2):
        assert _held(rows, column) == BUILT_IN_ROLES[role], role
        assert len(BUILT_IN_ROLES[role]) > 10


def test_the_numbers_of_roles_are_those_of_the_code() -> None:
    rows = table_rows("permissions.md", "Numbers of the built-in roles")
    assert {name: int(number) for name, number, _words in rows} == BUILT_IN_ROLE_IDS


def test_grants_on_repositories_are_those_of_the_code() -> None:
    rows = table_rows("permissions.md", "Grants on a repository")
    for column, right in enumerate(("pull", "push", "delete"), start=1):
        assert _held(rows, column) == PERMISSIONS_OF_RIGHT[right_of(right)], right


def test_what_robots_may_hold_is_that_of_the_code() -> None:
    rows = table_rows("permissions.md", "Robots")
    assert _held(rows, 1) == PROJECT_ROBOT_PERMISSIONS
    assert len(PROJECT_ROBOT_PERMISSIONS) > 40


def test_system_permissions_are_those_of_the_code() -> None:
    rows = table_rows("permissions.md", "System permissions")
    assert_once([row[0] for row in rows], {name.partition(":")[0] for name in SYSTEM_PERMISSIONS})
    assert _held(rows, 1) == SYSTEM_PERMISSIONS
    assert _held(rows, 2) == SYSTEM_ROBOT_PERMISSIONS


def test_scopes_of_tokens_are_documented_once() -> None:
    rows = table_rows("permissions.md", "Scopes of personal access tokens")
    assert_once([row[0] for row in rows], SCOPES)


# --- Where things are -----------------------------------------------------------


def test_every_feature_and_its_tables_stand_in_the_architecture() -> None:
    rows = table_rows("architecture.md", "Where is what")
    packages = {f"core.{name}" for name in _folders("core")}
    packages |= {f"jobservice.{name}" for name in _folders("jobservice")}
    packages |= {"registry_api", "webui"}
    assert set(features()) | PLATFORM <= packages
    assert_once([row[0].strip("/").replace("/", ".") for row in rows], packages)
    for folder, _owns, tables in rows:
        expected = _tables(folder.strip("/").replace("/", "."))
        assert tables == expected, f"{folder} owns {expected}"


def _folders(tree: str) -> set[str]:
    return {path.parent.name for path in (ROOT / tree).glob("*/__init__.py")}


def _tables(package: str) -> str:
    names = [
        model.__name__
        for model in apps.get_models()
        if model.__module__.startswith(f"{package}.") and not model._meta.auto_created
    ]
    return ", ".join(sorted(names)) or NOTHING


def test_the_five_seams_are_described() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for name in (
        "EVENT_SUBSCRIBERS",
        "RUN_TASKS",
        "RBAC_GRANT_SOURCE",
        "AUTHENTICATORS",
        "GATEKEEPERS",
    ):
        assert f"`{name}`" in text, name


# --- Development ----------------------------------------------------------------


def test_make_targets_are_documented_once() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert len(targets) >= 6
    rows = table_rows("development.md", "Make targets")
    assert_once([row[0].removeprefix("make ") for row in rows], targets)


def test_markers_are_documented_once() -> None:
    declared = project_file()["tool"]["pytest"]["ini_options"]["markers"]
    names = [line.partition(":")[0].partition("(")[0] for line in declared]
    assert len(names) >= 4
    assert_once([row[0] for row in table_rows("development.md", "Markers")], names)


def test_failpoints_are_documented_once() -> None:
    names = {
        name
        for module in written_modules()
        for name in re.findall(r"\breach\(\s*\"([a-z0-9_.]+)\"", module.text)
        if module.name != "core.common.failpoints"
    }
    assert len(names) >= 5
    assert_once([row[0] for row in table_rows("development.md", "Failpoints")], names)


def test_commands_are_documented_once() -> None:
    from typer.main import get_command

    from core.config import cli

    names = {
        f"roadstead {name}" for name, command in _commands(get_command(cli.app)) if not command
    }
    assert len(names) >= 8
    rows = table_rows("operations/running.md", "Commands")
    documented = {" ".join(row[0].split()[:2]) for row in rows}
    assert documented == names


def test_periodic_work() -> None:
    from jobservice.runs.scheduler import declared_schedules

    def spoken(interval: timedelta) -> str:
        for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
            count, rest = divmod(int(interval.total_seconds()), unit)
            if count and not rest:
                return f"{count} {name}{'s' if count > 1 else ''}"
        raise AssertionError(interval)

    documented = [tuple(row[:2]) for row in table_rows("operations/running.md", "Periodic work")]
    assert sorted(documented) == sorted(
        (schedule.kind, spoken(schedule.interval)) for schedule in declared_schedules()
    )


def _commands(group: object) -> list[tuple[str, bool]]:
    commands: dict[str, object] = getattr(group, "commands", {})
    return [(name, getattr(command, "hidden", False)) for name, command in commands.items()]


# --- All pages ------------------------------------------------------------------


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def test_links_between_pages_lead_somewhere() -> None:
    links = 0
    for page in pages():
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            links += 1
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), f"{page.relative_to(ROOT)} links to {target}"
            if anchor:
                assert anchor in _anchors(linked), f"{page.relative_to(ROOT)} links to {target}"
    assert links > 20


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                waiting.append((page.parent / target).resolve())
    assert {page.relative_to(ROOT).as_posix() for page in set(pages()) - reached} == set()


def test_files_that_pages_name_exist() -> None:
    """A path in backticks that begins with a tree of the product is a promise."""
    named = 0
    for page in pages():
        text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
        for path in re.findall(
            r"`((?:core|registry_api|jobservice|webui|tests|docs)/[a-z0-9_./-]+)`", text
        ):
            named += 1
            assert (ROOT / path).exists(), f"{page.relative_to(ROOT)} names {path}"
    assert named > 20


def test_decisions_are_numbered_and_complete() -> None:
    records = sorted((DOCS / "adr").glob("*.md"))
    assert len(records) >= 6
    numbers = Counter(record.name[:5] for record in records)
    for record in records:
        # Decisions that are made side by side take their numbers before they are written.
        assert re.match(r"\d{4}-[a-z]", record.name), record.name
        assert numbers[record.name[:5]] == 1, record.name
        text = record.read_text(encoding="utf-8")
        for heading in ("Context", "Choice", "Price"):
            assert f"\n## {heading}\n" in text, f"{record.name} has no {heading}"


def test_no_page_holds_an_address_of_the_machine_it_was_written_on() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-IlE", r"/(home|root|Users)/[a-z]|[a-z0-9]@[a-z]+-[0-9]+", "--", "docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert tracked.stdout == ""
    assert len(modules()) > 200
