"""The seams: every dotted path in the settings leads somewhere, and there are no others."""

import inspect
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from core.config import cli, first_start, urls
from core.events.types import Subscription
from tests.architecture.source import ROOT, modules, written_modules

pytestmark = pytest.mark.architecture


def test_authenticators_take_credentials_and_subjects() -> None:
    assert len(settings.AUTHENTICATORS) >= 3
    for path in settings.AUTHENTICATORS:
        module = import_module(path)
        for name, first in (("authenticate", "credentials"), ("load", "subject")):
            function = getattr(module, name)
            assert list(inspect.signature(function).parameters) == [first, "origin"], path


def test_gatekeepers_can_be_called() -> None:
    assert isinstance(settings.GATEKEEPERS, tuple)
    for path in settings.GATEKEEPERS:
        assert callable(import_string(path))


def test_constraints_that_refuse_exist_and_are_explained() -> None:
    assert settings.CONSTRAINT_REFUSALS
    migrations = "".join(module.text for module in modules() if module.is_migration)
    for constraint, path in settings.CONSTRAINT_REFUSALS.items():
        assert constraint in migrations
        assert list(inspect.signature(import_string(path)).parameters) == ["detail"]


def test_the_grant_source_takes_actor_and_target() -> None:
    source = import_string(settings.RBAC_GRANT_SOURCE)
    assert list(inspect.signature(source).parameters) == ["actor", "target"]


def test_every_subscription_is_named_in_the_settings() -> None:
    declared = {
        f"{module.name}.SUBSCRIPTIONS"
        for module in written_modules()
        if module.name.endswith(".subscribers")
    }
    assert declared, "no feature listens to any event"
    assert set(settings.EVENT_SUBSCRIBERS) == declared
    for path in settings.EVENT_SUBSCRIBERS:
        subscriptions = import_string(path)
        assert subscriptions
        assert all(isinstance(one, Subscription) for one in subscriptions)


def test_runs_and_schedules_are_named_in_the_settings() -> None:
    tasks = {module.name for module in written_modules() if module.name.split(".")[-1] == "tasks"}
    assert set(settings.RUN_TASKS) == tasks
    schedules = {
        f"{module.name}.SCHEDULES"
        for module in written_modules()
        if module.name.split(".")[-1] == "schedules"
    }
    assert set(settings.RUN_SCHEDULES) == schedules
    assert len(tasks) >= 2
    assert schedules


def test_every_scheduled_kind_has_work() -> None:
    from jobservice.worker.kinds import find_work

    for module in settings.RUN_TASKS:
        import_module(module)
    kinds = [one.kind for path in settings.RUN_SCHEDULES for one in import_string(path)]
    assert len(kinds) >= 3
    for kind in kinds:
        assert find_work(kind) is not None, f"no worker knows {kind}"


def test_every_dotted_path_of_the_composition_root_exists() -> None:
    from core.config import asgi  # The ASGI application is built when this is imported.

    paths = [
        asgi.REGISTRY,
        first_start.ENSURE_ADMINISTRATOR,
        first_start.ENSURE_LIBRARY_PROJECT,
        first_start.ENSURE_SIGNING_KEY,
        *(path.replace(":", ".") for path, _help in cli.FEATURE_COMMANDS.values()),
    ]
    assert len(paths) >= 6
    for path in paths:
        assert import_string(path) is not None


def test_every_feature_and_its_routes_are_in_place() -> None:
    assert len(settings.FEATURES) >= 10
    for feature in settings.FEATURES:
        assert find_spec(feature) is not None, f"{feature} is named in the settings and missing"
    routed = {module.name for module in written_modules() if module.name.endswith(".api.urls")}
    assert routed
    for name in urls.FEATURE_URLS:
        assert name in routed | {"core.api.urls"}, f"{name} is named in the routes and missing"
    assert routed <= set(urls.FEATURE_URLS), "a feature's routes are nowhere included"


def test_core_carries_neither_celery_nor_the_registry() -> None:
    """In a process that loads Django alone, no lower tree drags a higher one in."""
    script = (
        "import sys, django;"
        "from core.config.env import use_django_settings; use_django_settings(); django.setup();"
        "import core.artifacts.queries, core.robots.services, core.grants.source;"
        "print([name for name in ('celery', 'starlette', 'registry_api', 'webui')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
