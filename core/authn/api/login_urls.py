"""What a browser logs in and out with; included below ``/c/``."""

from django.urls import path

from core.authn.api import login_views

urlpatterns = [
    path("login", login_views.LoginView.as_view()),
    path("log_out", login_views.LogoutView.as_view()),
]
