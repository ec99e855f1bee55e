"""Routes of this package under the API's base."""

from django.urls import path

from core.api import system

urlpatterns = [
    path("ping", system.PingView.as_view()),
    path("health", system.HealthView.as_view()),
    path("systeminfo", system.SystemInfoView.as_view()),
    path("systeminfo/volumes", system.VolumesView.as_view()),
    path("systeminfo/getcert", system.CertificateView.as_view()),
    path("permissions", system.PermissionsView.as_view()),
    path("openapi.json", system.OpenAPIView.as_view()),
]
