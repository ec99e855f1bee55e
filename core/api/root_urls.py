"""Routes of this package outside the API's base; include them last, at the root."""

from django.urls import path

from core.api import explorer, system

urlpatterns = [
    path("api/version", system.api_version),
    path("api/docs", explorer.explorer),
    path("api/docs/<str:name>", explorer.explorer_asset),
    path("api/<path:path>", system.UnknownRouteView.as_view()),
]
