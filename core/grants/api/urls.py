"""Routes of repository grants, of who is in a group, and of explanations."""

from django.urls import path

from core.api import converters as converters
from core.grants.api import group_views, views

_REPOSITORY = "projects/<str:project_name>/repositories/<repository_name:repository>"

urlpatterns = [
    path("explain", views.ExplainView.as_view()),
    path(f"{_REPOSITORY}/grants", views.GrantsView.as_view()),
    path(f"{_REPOSITORY}/grants/<str:grant>", views.GrantView.as_view()),
    path("usergroups/<identifier:group_id>/users", group_views.GroupUsersView.as_view()),
    path(
        "usergroups/<identifier:group_id>/users/<identifier:user_id>",
        group_views.GroupUserView.as_view(),
    ),
]
