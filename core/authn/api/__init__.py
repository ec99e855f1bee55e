"""Management routes of passwords, personal access tokens and sessions in browsers.

``authentication.py`` proves who sends any request of the management API; Django REST
framework's setting for authentication names it, so the REST glue need not know this feature.
``login_views.py`` and ``login_urls.py`` are what a browser logs in and out with, outside of the
API's base; ``session_views.py`` lists and ends sessions; ``password_views.py`` changes passwords,
here and not where people are, because it counts failures as a login does; ``csrf.py`` keeps other
sites from using the cookie of a session.
"""
