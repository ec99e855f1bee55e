"""Routes of the storage explorer."""

from django.urls import path

from core.usage.api import views

urlpatterns = [
    path("storage", views.StorageView.as_view()),
    path("projects/<str:project>/storage", views.ProjectStorageView.as_view()),
]
