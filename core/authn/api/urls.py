"""Routes of passwords, personal access tokens and sessions."""

from django.urls import path

from core.api import converters as converters
from core.authn.api import password_views, session_views, views

urlpatterns = [
    path("users/<identifier:user_id>/password", password_views.PasswordView.as_view()),
    path("users/current/tokens", views.PersonalTokensView.as_view()),
    path("users/current/tokens/<identifier:token_id>", views.PersonalTokenView.as_view()),
    path("users/current/sessions", session_views.OwnSessionsView.as_view()),
    path("users/current/sessions/<identifier:session_id>", session_views.OwnSessionView.as_view()),
    path("users/<identifier:user_id>/sessions", session_views.SessionsView.as_view()),
    path(
        "users/<identifier:user_id>/sessions/<identifier:session_id>",
        session_views.SessionView.as_view(),
    ),
]
