"""Routes of this package outside the API's base; include them last, at the root."""

from django.urls import path
from django.urls.resolvers import RoutePattern

from core.api import explorer, system
from core.api.unknown_routes import UnknownRoute, UnknownRouteView

urlpatterns = [
    path("api/version", system.api_version),
    path("api/docs", explorer.explorer),
    path("api/docs/<str:name>", explorer.explorer_asset),
    UnknownRoute(RoutePattern("api/<path:path>", is_endpoint=True), UnknownRouteView.as_view()),
]
