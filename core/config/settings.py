"""Django settings: a translation of the checked environment, and the seams.

The seams are the only places where lower features learn of higher ones, always by
dotted path: authenticators, gatekeepers, the grant source, event subscribers and
the kinds of runs.
"""

import sys

from core.common import failpoints
from core.config import env
from core.config.clouds import AzureSettings, GCSSettings
from core.config.database import django_database
from core.config.logging import configuration
from core.config.storage import S3Settings, options_of

try:
    ROADSTEAD = env.current()
    SECRET_KEY = env.secret_key(ROADSTEAD)
    failpoints.arm(ROADSTEAD.server.failpoints)
except (env.ConfigurationError, ValueError) as error:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2) from None

DEBUG = ROADSTEAD.server.debug
# Behind a proxy the host name is the proxy's affair; on its own the server answers
# by address and by any name that leads to it. Links are built from EXTERNAL_URL.
ALLOWED_HOSTS = ["*"]
USE_X_FORWARDED_HOST = False

# --- Applications ---------------------------------------------------------------

# From bottom to top.
FEATURES = (
    "core.system_settings",
    "core.users",
    "core.authn",
    "core.projects",
    "core.allowlists",
    "core.quotas",
    "core.members",
    "core.tag_rules",
    "core.labels",
    "core.blobs",
    "core.artifacts",
    "core.grants",
    "core.robots",
    "core.usage",
    "core.api",
    "core.audit",
    "jobservice.runs",
)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "guardian",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *FEATURES,
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.authn.api.csrf.BrowserSessionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "core.config.urls"
WSGI_APPLICATION = "core.config.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

# --- Storage of rows ------------------------------------------------------------

DATABASES = {"default": django_database(ROADSTEAD.database.url)}
# Content of blobs lies here, in the layout of the filesystem driver, or else in the one bucket
# whose options (of core.storage.{s3,gcs,azure}.options) are not None.
STORAGE_NAME = ROADSTEAD.storage.name
STORAGE_ROOT = ROADSTEAD.storage.directory
STORAGE_S3 = options_of(ROADSTEAD.storage.bucket, S3Settings)
STORAGE_GCS = options_of(ROADSTEAD.storage.bucket, GCSSettings)
STORAGE_AZURE = options_of(ROADSTEAD.storage.bucket, AzureSettings)
STORAGE_REDIRECT = ROADSTEAD.storage.redirects
STORAGE_ACCEL_PREFIX = ROADSTEAD.storage.accel_prefix
# The same of the storage whose content moves to that one; the name is None when there is none.
FORMER = ROADSTEAD.storage.former
FORMER_STORAGE_NAME = FORMER.name if FORMER else None
FORMER_STORAGE_ROOT = FORMER.directory if FORMER else None
FORMER_BUCKET = FORMER.bucket if FORMER else None
FORMER_STORAGE_S3 = options_of(FORMER_BUCKET, S3Settings)
FORMER_STORAGE_GCS = options_of(FORMER_BUCKET, GCSSettings)
FORMER_STORAGE_AZURE = options_of(FORMER_BUCKET, AzureSettings)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis holds nothing that matters: an entry may vanish at any moment.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ROADSTEAD.broker.client_url,
        "KEY_PREFIX": "roadstead",
        # A Redis that hangs must not hold a thread for longer than one that is down.
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

# --- People ---------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.BCryptPasswordHasher",
]
# Nobody gets a row for being anonymous: core.rbac has an actor for that.
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = False

# Of core.authn.browser_sessions; Harbor's clients know the cookie by this name.
SESSION_COOKIE_NAME = "sid"
SESSION_COOKIE_SECURE = (ROADSTEAD.server.external_url or "").startswith("https://")
CSRF_COOKIE_NAME = "roadstead_csrf"
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
CSRF_TRUSTED_ORIGINS = [ROADSTEAD.server.external_url] if ROADSTEAD.server.external_url else []

# --- Seams ----------------------------------------------------------------------

# Modules with `authenticate` and `load`, asked in order; the first that recognises the
# credentials decides. registry_api/logins.py answers the common successes of these three by itself.
AUTHENTICATORS = (
    "core.robots.authenticator",
    "core.authn.token_authenticator",
    "core.authn.password_authenticator",
)
# Asked in order before content is written; the first that objects decides.
GATEKEEPERS: tuple[str, ...] = (
    "core.configurations.gatekeepers.refuse_while_read_only",
    "core.tag_rules.gatekeeper.protect_tags",
    "core.grants.gatekeeper.withdraw_tokens",
)
# Constraints that the database alone decides, and what makes the refusal of each.
CONSTRAINT_REFUSALS = {
    "quotas_quota_not_exceeded": "core.quotas.rules.exceeded",
    "system_settings_writable": "core.system_settings.rules.read_only",
}
RBAC_GRANT_SOURCE = "core.grants.source.find_grants"
# Tuples of subscriptions (core.events.types.Subscription).
EVENT_SUBSCRIBERS: tuple[str, ...] = (
    "core.robots.subscribers.SUBSCRIPTIONS",
    "core.moves.subscribers.SUBSCRIPTIONS",
)
# Modules that define what a worker can carry out, and the schedules that come with it.
RUN_TASKS = (
    "jobservice.runs.tasks",
    "jobservice.housekeeping.tasks",
    "jobservice.scrub.tasks",
)
RUN_SCHEDULES = (
    "jobservice.housekeeping.schedules.SCHEDULES",
    "jobservice.scrub.schedules.SCHEDULES",
)

# --- Management API -------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.authn.api.authentication.CredentialsAuthentication",
        "core.authn.api.authentication.BrowserSessionAuthentication",
    ],
    # Views of the product declare what they need (core.api.views); any other is closed.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "core.api.pagination.PageNumberPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 10,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Roadstead",
    "DESCRIPTION": "Management API of the Roadstead registry.",
    "VERSION": "2.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    # What an answer always holds is said by the serializers, not by who may write it.
    "COMPONENT_NO_READ_ONLY_REQUIRED": True,
    "SCHEMA_PATH_PREFIX": r"/api/v2\.0",
    "PREPROCESSING_HOOKS": ["core.api.documentation.add_head"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.api.conventions.add_conventions",
        "core.api.links.add_links",
        "core.api.examples.add_examples",
    ],
}
# Larger bodies than this belong to /v2/, which Django never sees.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 << 20

# --- The rest -------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = ROADSTEAD.server.data_dir / "static"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LOGGING_CONFIG = None
configuration(ROADSTEAD.logging)
