"""Routes of robots."""

from django.urls import path

from core.api import converters as converters
from core.robots.api import views

urlpatterns = [
    path("robots", views.RobotsView.as_view()),
    path("robots/<identifier:robot_id>", views.RobotView.as_view()),
]
