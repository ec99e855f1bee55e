"""Routes of repository grants and explanations."""

from django.urls import path

from core.api import converters as converters
from core.grants.api import views

_REPOSITORY = "projects/<str:project_name>/repositories/<repository_name:repository>"

urlpatterns = [
    path("explain", views.ExplainView.as_view()),
    path(f"{_REPOSITORY}/grants", views.GrantsView.as_view()),
    path(f"{_REPOSITORY}/grants/<str:grant>", views.GrantView.as_view()),
]
