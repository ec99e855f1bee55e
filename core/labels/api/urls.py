"""Routes of labels."""

from django.urls import path

from core.api import converters as converters
from core.labels.api import views

urlpatterns = [
    path("labels", views.LabelsView.as_view()),
    path("labels/<identifier:label_id>", views.LabelView.as_view()),
]
