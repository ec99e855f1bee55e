"""Routes of immutable tag rules."""

from django.urls import path

from core.api import converters as converters
from core.tag_rules.api import views

_RULES = "projects/<str:project>/immutabletagrules"

urlpatterns = [
    path(_RULES, views.TagRulesView.as_view()),
    path(f"{_RULES}/<identifier:immutable_rule_id>", views.TagRuleView.as_view()),
]
