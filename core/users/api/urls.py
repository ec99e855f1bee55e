"""Routes of people and groups."""

from django.urls import path

from core.api import converters as converters
from core.users.api import group_views, views

urlpatterns = [
    path("users", views.UsersView.as_view()),
    path("users/current", views.CurrentUserView.as_view()),
    path("users/search", views.UserSearchView.as_view()),
    path("users/<identifier:user_id>", views.UserView.as_view()),
    path("users/<identifier:user_id>/sysadmin", views.SystemAdminView.as_view()),
    path("usergroups", group_views.GroupsView.as_view()),
    path("usergroups/search", group_views.GroupSearchView.as_view()),
    path("usergroups/<identifier:group_id>", group_views.GroupView.as_view()),
]
