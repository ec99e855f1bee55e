"""Routes of run-time settings."""

from django.urls import path

from core.configurations.api import views

urlpatterns = [path("configurations", views.ConfigurationsView.as_view())]
