"""Routes of projects, members, roles and the caller's own permissions."""

from django.urls import path

from core.api import converters as converters
from core.members.api import access_views, project_views, views

urlpatterns = [
    path("projects", project_views.ProjectsView.as_view()),
    path("projects/<str:project>", project_views.ProjectDetailView.as_view()),
    path("projects/<str:project>/_deletable", project_views.ProjectDeletableView.as_view()),
    path("projects/<str:project>/summary", project_views.ProjectSummaryView.as_view()),
    path("projects/<str:project>/members", views.MembersView.as_view()),
    path("projects/<str:project>/members/<identifier:member_id>", views.MemberView.as_view()),
    path("roles", views.RolesView.as_view()),
    path("roles/<identifier:role_id>", views.RoleView.as_view()),
    path("users/current/permissions", access_views.OwnPermissionsView.as_view()),
    path("auditlog-exts", access_views.AuditLogView.as_view()),
    path("auditlog-exts/events", access_views.AuditEventTypesView.as_view()),
    path("audit-logs", access_views.DeprecatedAuditLogView.as_view()),
]
