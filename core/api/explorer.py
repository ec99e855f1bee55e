"""Pages that show the OpenAPI document: Swagger UI from its package, without any network.

They are public like the document itself and hold no data. The policy of the page lets it load
from this server only and run no script but its own.
"""

from functools import cache
from importlib.resources import files

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from core.api.errors import envelope

_ASSETS = "static/drf_spectacular_sidecar/swagger-ui-dist"
_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Roadstead: management API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<main id="explorer"><noscript>This page needs JavaScript; the API is described in
<a href="/api/v2.0/openapi.json">openapi.json</a>.</noscript></main>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/api/v2.0/openapi.json",
  dom_id: "#explorer",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
});
"""


@csrf_exempt
def explorer(request: HttpRequest) -> HttpResponse:
    """Return the page."""
    return _answer(request, _PAGE.encode(), "text/html; charset=utf-8")


@csrf_exempt
def explorer_asset(request: HttpRequest, name: str) -> HttpResponse:
    """Return a script, style or picture of the page; 404 for any other name."""
    if name == "start.js":
        return _answer(request, _START.encode(), "text/javascript; charset=utf-8")
    if name not in _TYPES:
        return JsonResponse(envelope(404, "Not found."), status=404)
    return _answer(request, _asset(name), _TYPES[name])


def _answer(request: HttpRequest, content: bytes, content_type: str) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return JsonResponse(envelope(405, "Only GET is allowed."), status=405)
    response = HttpResponse(content, content_type=content_type)
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "max-age=3600"
    return response


@cache
def _asset(name: str) -> bytes:
    return (files("drf_spectacular_sidecar") / _ASSETS / name).read_bytes()
