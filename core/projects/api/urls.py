"""Routes of a project's audit log and metadata."""

from django.urls import path

from core.projects.api import metadata_views, views

_METADATA = "projects/<str:project>/metadatas/"

urlpatterns = [
    path("projects/<str:project_name>/auditlog-exts", views.ProjectLogView.as_view()),
    path("projects/<str:project_name>/logs", views.DeprecatedProjectLogView.as_view()),
    # Harbor writes the slash at the end and does without; harborapi leaves it out.
    path(_METADATA, metadata_views.MetadatasView.as_view()),
    path(_METADATA.rstrip("/"), metadata_views.UnslashedMetadatasView.as_view()),
    path(f"{_METADATA}<str:meta_name>", metadata_views.MetadataView.as_view()),
]
