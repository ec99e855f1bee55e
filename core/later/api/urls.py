"""Routes of the later operations, in the order of the table."""

from core.api import converters as converters
from core.later.api.views import routes

urlpatterns = routes()
