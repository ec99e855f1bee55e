"""Routes of the Django side: each feature brings its own under the management API."""

from django.urls import URLPattern, URLResolver, include, path

API_BASE = "api/v2.0/"

FEATURE_URLS = (
    "core.api.urls",
    "core.configurations.api.urls",
    "core.users.api.urls",
    "core.authn.api.urls",
    "core.projects.api.urls",
    "core.allowlists.api.urls",
    "core.quotas.api.urls",
    "core.members.api.urls",
    "core.tag_rules.api.urls",
    "core.labels.api.urls",
    # Names of repositories may hold slashes, so longer routes below them come first.
    "core.later.api.urls",
    "core.grants.api.urls",
    "core.usage.api.urls",
    "core.trash.api.urls",
    "core.moves.api.urls",
    "core.additions.api.urls",
    "core.artifacts.api.urls",
    "core.robots.api.urls",
    "core.search.api.urls",
    "core.statistics.api.urls",
)

# What fails outside every view is answered in the same envelope.
handler400 = "core.api.errors.bad_request"
handler404 = "core.api.errors.no_such_page"
handler500 = "core.api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    *[path(API_BASE, include(module)) for module in FEATURE_URLS],
    # Logging in and out with a browser.
    path("c/", include("core.authn.api.login_urls")),
    # The version of the API, and the answer to every path of it that leads nowhere.
    path("", include("core.api.root_urls")),
]
