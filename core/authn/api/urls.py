"""Routes of personal access tokens."""

from django.urls import path

from core.api import converters as converters
from core.authn.api import views

urlpatterns = [
    path("users/current/tokens", views.PersonalTokensView.as_view()),
    path("users/current/tokens/<identifier:token_id>", views.PersonalTokenView.as_view()),
]
