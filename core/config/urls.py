"""Routes of the Django side: each feature brings its own under the management API."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

API_BASE = "api/v2.0/"

FEATURE_URLS = (
    "core.api.urls",
    "core.users.api.urls",
    "core.authn.api.urls",
    "core.projects.api.urls",
    "core.members.api.urls",
    "core.artifacts.api.urls",
    "core.grants.api.urls",
    "core.robots.api.urls",
    "jobservice.runs.api.urls",
)


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


urlpatterns: list[URLPattern | URLResolver] = [
    *[path(API_BASE, include(module)) for module in FEATURE_URLS if _exists(module)],
    path("", include("core.api.root_urls")),
]
