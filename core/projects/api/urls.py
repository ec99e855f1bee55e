"""Routes of a project's audit log."""

from django.urls import path

from core.projects.api import views

urlpatterns = [
    path("projects/<str:project_name>/auditlog-exts", views.ProjectLogView.as_view()),
    path("projects/<str:project_name>/logs", views.DeprecatedProjectLogView.as_view()),
]
