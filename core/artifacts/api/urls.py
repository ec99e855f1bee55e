"""Routes of repositories, artifacts and tags.

A repository name that arrives with its slashes can contain the words of the routes below it;
the longer route is tried first. Clients that encode names, twice as documented or once, never
meet it.
"""

from django.urls import path

from core.api import converters as converters
from core.artifacts.api import artifact_views, bulk_views, usage_views, views

_REPOSITORY = "projects/<str:project_name>/repositories/<repository_name:repository>"
_ARTIFACT = f"{_REPOSITORY}/artifacts/<reference:reference>"

urlpatterns = [
    path("repositories", views.RepositoriesView.as_view()),
    path("projects/<str:project_name>/repositories", views.ProjectRepositoriesView.as_view()),
    path("projects/<str:project>/usage", usage_views.ProjectUsageView.as_view()),
    path(f"{_REPOSITORY}/usage", usage_views.RepositoryUsageView.as_view()),
    path("projects/<str:project>/artifacts", artifact_views.ProjectArtifactsView.as_view()),
    path(f"{_ARTIFACT}/tags/<reference:tag>", artifact_views.ArtifactTagView.as_view()),
    path(f"{_ARTIFACT}/tags", artifact_views.ArtifactTagsView.as_view()),
    path(f"{_ARTIFACT}/labels/<identifier:label_id>", artifact_views.ArtifactLabelView.as_view()),
    path(f"{_ARTIFACT}/labels", artifact_views.ArtifactLabelsView.as_view()),
    path(f"{_ARTIFACT}/accessories", artifact_views.AccessoriesView.as_view()),
    path(f"{_REPOSITORY}/artifacts/bulk", bulk_views.BulkView.as_view(), {"reference": "bulk"}),
    path(_ARTIFACT, artifact_views.ArtifactView.as_view()),
    path(f"{_REPOSITORY}/artifacts", artifact_views.ArtifactsView.as_view()),
    path(f"{_REPOSITORY}/tags/<reference:tag>/history", views.TagHistoryView.as_view()),
    path(f"{_REPOSITORY}/tags/<reference:tag>/expiry", views.TagExpiryView.as_view()),
    # The shortest route would swallow every longer one, so it comes last.
    path(_REPOSITORY, views.RepositoryView.as_view()),
]
