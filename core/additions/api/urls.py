"""Routes of additions and icons."""

from django.urls import path

from core.additions.api import views
from core.api import converters as converters

_ARTIFACT = (
    "projects/<str:project_name>/repositories/<repository_name:repository>"
    "/artifacts/<reference:reference>"
)

urlpatterns = [
    path(f"{_ARTIFACT}/additions/vulnerabilities", views.VulnerabilitiesView.as_view()),
    path(f"{_ARTIFACT}/additions/<str:addition>", views.AdditionView.as_view()),
    path("icons/<reference:digest>", views.IconView.as_view()),
]
