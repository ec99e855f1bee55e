"""Routes of the trash."""

from django.urls import path

from core.api import converters as converters
from core.trash.api import views

_REPOSITORY = "projects/<str:project_name>/repositories/<repository_name:repository>"
_ENTRY = "projects/<str:project>/trash/<identifier:entry_id>"

urlpatterns = [
    path("projects/<str:project>/trash", views.TrashView.as_view()),
    path(_ENTRY, views.TrashEntryView.as_view()),
    path(f"{_ENTRY}/restore", views.TrashRestoreView.as_view()),
    path(f"{_REPOSITORY}/tags/<reference:tag>/restore", views.TagRestoreView.as_view()),
]
