"""Route of the search."""

from django.urls import path

from core.search.api import views

urlpatterns = [path("search", views.SearchView.as_view())]
