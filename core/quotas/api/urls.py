"""Routes of quotas."""

from django.urls import path

from core.api import converters as converters
from core.quotas.api import views

urlpatterns = [
    path("quotas", views.QuotasView.as_view()),
    path("quotas/<identifier:quota_id>", views.QuotaView.as_view()),
]
