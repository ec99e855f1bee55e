"""Route of the statistics."""

from django.urls import path

from core.statistics.api import views

urlpatterns = [path("statistics", views.StatisticsView.as_view())]
