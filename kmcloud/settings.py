"""The service's settings, all from the environment, typed, each with the default that runs on one laptop.

Two modes, one code path. *Embedded* (no `KM_REDIS_URL`): SQLite, no Redis, the worker inside `manage.py serve`, secrets
made on first use and kept in `KM_DATA_DIR`. *Production* (`KM_PRODUCTION=true`): PostgreSQL, Redis, secrets from the
environment; `manage.py check --deploy` names what is missing. Impossible combinations are refused at start.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import environ
import structlog
from km_protocol.claims import REFRESH_SECONDS

from kmcloud.secrets_file import secret

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

PRODUCTION = env.bool("KM_PRODUCTION", default=False)
DATA_DIR = Path(env.str("KM_DATA_DIR", default=str(BASE_DIR / "var"))).absolute()
DATA_DIR.mkdir(parents=True, exist_ok=True)
REDIS_URL = env.str("KM_REDIS_URL", default="")
EMBEDDED = not REDIS_URL
DEBUG = env.bool("KM_DEBUG", default=False)

SECRET_KEY = secret("KM_SECRET_KEY", DATA_DIR, production=PRODUCTION)
API_KEY_PEPPER = secret("KM_API_KEY_PEPPER", DATA_DIR, production=PRODUCTION).encode()
SIGNING_KEY_PASSPHRASE = secret("KM_SIGNING_KEY_PASSPHRASE", DATA_DIR, production=PRODUCTION).encode()

PUBLIC_URL = env.str("KM_PUBLIC_URL", default="http://127.0.0.1:8318").rstrip("/")
ALLOWED_HOSTS = env.list("KM_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "kmcloud",
    "core",
    "customers",
    "plugins_registry",
    "events",
    "dashboard",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_prometheus",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "events.middleware.IngestMiddleware",  # first: it answers what comes thousands of times a second, past the rest
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "kmcloud.admin_csp.PolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "kmcloud.urls"
WSGI_APPLICATION = "kmcloud.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = env.str("KM_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'kilometers.sqlite3'}")
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE takes the write lock at BEGIN: a deferred transaction that upgrades fails at once with
        # SQLITE_BUSY, whatever the timeout. FULL: the answer 200 follows an fsync.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
        " PRAGMA mmap_size=268435456; PRAGMA foreign_keys=ON;",
    }
DATABASES["default"]["CONN_MAX_AGE"] = None if EMBEDDED else 600

EMAIL_BACKEND = env.str("KM_EMAIL_BACKEND", default="django.core.mail.backends.console.EmailBackend")
DEFAULT_FROM_EMAIL = env.str("KM_EMAIL_FROM", default="Kilometers <registry@localhost>")
# The customer, `cus_…`, who publishes our own plugins.
OFFICIAL_PUBLISHER = env.str("KM_OFFICIAL_PUBLISHER", default="")

# Sources, payloads and packages of plugins. Never served as files: the registry's addresses decide who may fetch what.
REGISTRY_DIR = DATA_DIR / "registry"
REGISTRY_S3_BUCKET = env.str("KM_REGISTRY_S3_BUCKET", default="")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "registry": (
        {
            "BACKEND": "plugins_registry.object_storage.ObjectStorage",  # credentials as boto3 finds them
            "OPTIONS": {
                "bucket_name": REGISTRY_S3_BUCKET,
                "endpoint_url": env.str("KM_REGISTRY_S3_ENDPOINT", default="") or None,
                "region_name": env.str("KM_REGISTRY_S3_REGION", default="") or None,
                "default_acl": None,  # the bucket's own, which is private
                "file_overwrite": False,
            },
        }
        if REGISTRY_S3_BUCKET
        else {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {
                "location": str(REGISTRY_DIR),
                "base_url": None,
                "file_permissions_mode": 0o600,
                "directory_permissions_mode": 0o700,
            },
        }
    ),
}

# The keys that sign what is published: `role=uri` pairs apart by spaces; a role without one gets an encrypted file.
SIGNER_DIR = Path(env.str("KM_SIGNER_DIR", default=str(DATA_DIR / "signers"))).absolute()
SIGNER_PASSPHRASE = secret("KM_SIGNER_PASSPHRASE", DATA_DIR, production=PRODUCTION, needed=False)  # builds have none
SIGNER_URIS = dict(pair.split("=", 1) for pair in env.str("KM_SIGNER_URIS", default="").split())
HSM_PIN = env.str("KM_HSM_PIN", default="")

CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        if EMBEDDED
        else {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    )
}

# Celery carries wake-ups only, never data: a lost message delays, it cannot lose an event.
_BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_URL = env.str("KM_BROKER_URL", default=REDIS_URL or "filesystem://localhost/")
if CELERY_BROKER_URL.startswith("filesystem:"):
    _BROKER_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER_DIR),
        "data_folder_out": str(_BROKER_DIR),
        "control_folder": str(_BROKER_DIR),
        "polling_interval": 0.1,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
# A worker of `builds` runs what strangers wrote and holds no key; one of `signing` holds them all.
CELERY_TASK_ROUTES = {
    "events.drain": {"queue": "drain"},
    "registry.build_payload": {"queue": "builds"},
    "registry.build_for": {"queue": "builds"},
    "registry.sign_build": {"queue": "signing"},
    "registry.publish": {"queue": "signing"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "dashboard:login"
LOGIN_REDIRECT_URL = "dashboard:sessions"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True  # no collectstatic step on a laptop
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_BEHIND_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _BEHIND_TLS
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if _BEHIND_TLS else 0
TRUST_PROXY = env.bool("KM_TRUST_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
ADMIN_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY["DIRECTIVES"] | {
    # django-unfold's pages run inline scripts and Alpine expressions; nothing is still loaded from or sent elsewhere.
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}
UNFOLD = {
    "SITE_TITLE": "Kilometers",
    "SITE_HEADER": "Kilometers",
    "SITE_SUBHEADER": "Console",
    "SITE_SYMBOL": "speed",
    "SHOW_HISTORY": False,  # the audit log is the history, and it is complete
}

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "core.errors.handle",
    "DEFAULT_AUTHENTICATION_CLASSES": ["customers.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["customers.authentication.IsCustomer"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kilometers API",
    "DESCRIPTION": "See, prove and control what AI agents do through MCP.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",  # whose schemas are JSON Schema, as msgspec writes them
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# What the checks of submitted plugins use where it is there: the authors' `km-client` to try them with (beside this
# interpreter, unless it is named), a Go module cache to compare vendored modules with, and the Go SDK's source.
PLUGIN_RUNNER = env.str("KM_PLUGIN_RUNNER", default="")
GO_MODULE_CACHE = env.str("KM_GO_MODULE_CACHE", default="")
GO_SDK_DIR = env.str("KM_GO_SDK_DIR", default=str(BASE_DIR / "sdk" / "go"))

# What a Go plugin is built for, twice each: a service whose laptops are all alike saves itself half of it.
GO_PLATFORMS = env.list("KM_GO_PLATFORMS", default=["linux-amd64", "linux-arm64"])

# Wheels that `manage.py fetch_wheels` downloaded; builds have no network.
WHEELS_DIR = Path(env.str("KM_WHEELS_DIR", default=str(DATA_DIR / "wheels"))).absolute()
PACKAGE_DAYS = env.int("KM_PACKAGE_DAYS", default=180)  # how long a customer's package is good; renewed long before

TOKEN_SECONDS = env.int("KM_TOKEN_SECONDS", default=3600)
LEASE_REFRESH_SECONDS = env.int("KM_LEASE_REFRESH_SECONDS", default=REFRESH_SECONDS)
LOG_LEVEL = env.str("KM_LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("KM_LOG_JSON", default=PRODUCTION)

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": (
                structlog.processors.JSONRenderer()
                if LOG_JSON
                # a plain traceback: the pretty one prints local variables, keys among them
                else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
            ),
            "foreign_pre_chain": [
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}
