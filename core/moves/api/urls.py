"""Routes of moves."""

from django.urls import path

from core.api import converters as converters
from core.moves.api import views

_REPOSITORY = "projects/<str:project_name>/repositories/<repository_name:repository>"

urlpatterns = [
    path("projects/<str:project>/rename", views.ProjectRenameView.as_view()),
    path(f"{_REPOSITORY}/transfer", views.RepositoryTransferView.as_view()),
    path(f"{_REPOSITORY}/redirects", views.RedirectsView.as_view()),
]
