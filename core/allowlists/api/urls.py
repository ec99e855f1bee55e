"""Routes of allowlists."""

from django.urls import path

from core.allowlists.api import views

urlpatterns = [path("system/CVEAllowlist", views.SystemAllowlistView.as_view())]
