"""The Django side of the server as a WSGI application."""

from django.core.wsgi import get_wsgi_application

from core.config.env import use_django_settings

use_django_settings()
application = get_wsgi_application()
