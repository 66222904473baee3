"""The service's settings, all from the environment, typed, each with the default that runs on one laptop.

Two modes, one code path. *Embedded* (no `KM_REDIS_URL`): SQLite, no Redis, the worker inside `manage.py serve`, secrets
made on first use and kept in `KM_DATA_DIR`. *Production* (`KM_PRODUCTION=true`): PostgreSQL, Redis, secrets from the
environment; `manage.py check --deploy` names what is missing. Impossible combinations are refused at start.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from km_protocol.claims import REFRESH_SECONDS

from kmcloud import logs, mail, roles
from kmcloud.secrets_file import given, secret

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

PRODUCTION = env.bool("KM_PRODUCTION", default=False)
DATA_DIR = Path(env.str("KM_DATA_DIR", default=str(BASE_DIR / "var"))).absolute()
DATA_DIR.mkdir(parents=True, exist_ok=True)
REDIS_URL = given("KM_REDIS_URL")
EMBEDDED = not REDIS_URL
# Each has 16 threads with a connection to PostgreSQL; more than there are cores only wait for one.
WEB_PROCESSES = env.int("KM_WEB_PROCESSES", default=min(os.cpu_count() or 1, 4) if PRODUCTION else 1)
INGEST_WORKERS = env.int("KM_INGEST_WORKERS", default=1)
DEBUG = env.bool("KM_DEBUG", default=False)

ROLE = env.str("KM_ROLE", default="")  # what this process is, where `serve --production` or a container says so


def _held(name: str) -> str:
    """A secret this process has a use for, else "": it must not need what it was not given."""
    return secret(name, DATA_DIR, production=PRODUCTION) if name in roles.role_called(ROLE).secrets else ""


SECRET_KEY = _held("KM_SECRET_KEY")
API_KEY_PEPPER = _held("KM_API_KEY_PEPPER").encode()
SIGNING_KEY_PASSPHRASE = _held("KM_SIGNING_KEY_PASSPHRASE").encode()
# The newest first: it seals, all of them open (core.sealing).
SEALING_KEYS = [each.strip() for each in _held("KM_SEALING_KEY").split(",") if each.strip()]

PUBLIC_URL = env.str("KM_PUBLIC_URL", default="http://127.0.0.1:8318").rstrip("/")
ALLOWED_HOSTS = env.list("KM_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "kmcloud",
    "core",
    "customers",
    "plugins_registry",
    "events",
    "events.otlp",
    "alerts",
    "dashboard",  # before allauth, whose pages it dresses
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "kmcloud.page_apps.SingleSignOnConfig",  # allauth.socialaccount
    "allauth.socialaccount.providers.openid_connect",
    "unfold",
    "kmcloud.page_apps.ConsoleConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "core.request_log.RequestLogMiddleware",  # first: its ids are on every line the others log
    "events.middleware.IngestMiddleware",  # then: it answers what comes thousands of times a second, past the rest
    "django.middleware.security.SecurityMiddleware",
    "kmcloud.admin_csp.PolicyMiddleware",
    "dashboard.compression.CompressionMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "dashboard.staff_gate.StaffGate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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

DATABASE_URL = given("KM_DATABASE_URL", f"sqlite:///{DATA_DIR / 'kilometers.sqlite3'}")
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
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    _TIMEOUT_SECONDS = env.float("KM_DATABASE_TIMEOUT_SECONDS", default=8.0)  # clients wait for us ten
    # What no request waits for may take longer: a drain's COPY on a slow disk; a day that gets its own partition. What
    # has no role is a person's command, a migration perhaps, and takes the time it takes.
    _PATIENCE = {"": None, roles.WEB: _TIMEOUT_SECONDS, roles.INGEST: 8 * _TIMEOUT_SECONDS}
    DATABASES["default"]["ENGINE"] = "core.postgresql"
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,
        # A network that swallows packets; whatever else does not answer is for `answer_seconds`. All of these are the
        # client's own, so that PgBouncer may stand between.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "answer_seconds": _PATIENCE.get(ROLE, 75 * _TIMEOUT_SECONDS),
        **DATABASES["default"].get("OPTIONS", {}),
    }
# Where events are kept: `database`, which is DATABASE_URL's, `clickhouse`, or the dotted path of an
# `events.store.EventStore`. ClickHouse's address is None in a process that has no use for it.
EVENT_STORE = env.str("KM_EVENT_STORE", default="database")
_HAS_CLICKHOUSE = "KM_CLICKHOUSE_URL" in roles.role_called(ROLE).secrets
CLICKHOUSE_URL = given("KM_CLICKHOUSE_URL") if _HAS_CLICKHOUSE else None
# Where accepted requests wait to be stored: `inbox`, a table of that database; `rabbitmq`, at EVENT_LOG_URL; or the
# dotted path of an `events.log.EventLog`. The address is `None` in a role that is not told it.
EVENT_LOG = env.str("KM_EVENT_LOG", default="inbox")
EVENT_LOG_URL = given("KM_EVENT_LOG_URL") if "KM_EVENT_LOG_URL" in roles.role_called(ROLE).secrets else None
DATABASES["default"]["CONN_MAX_AGE"] = None if EMBEDDED else 600

# Who takes letters: `smtp+tls://user:password@host:587` (kmcloud.mail). A role that sends none is not told it.
EMAIL_URL = given("KM_EMAIL_URL") if "KM_EMAIL_URL" in roles.role_called(ROLE).secrets else ""
EMAIL_BACKEND = env.str("KM_EMAIL_BACKEND", default=mail.SMTP if EMAIL_URL else mail.CONSOLE)
_SERVER = mail.server(EMAIL_URL)
EMAIL_HOST, EMAIL_PORT = _SERVER.host, _SERVER.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _SERVER.user, _SERVER.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _SERVER.starttls, _SERVER.tls
EMAIL_TIMEOUT = 10  # seconds for each answer: a mail server that hangs holds up the next letter
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
SIGNER_PASSPHRASE = _held("KM_SIGNER_PASSPHRASE")
SIGNER_URIS = dict(pair.split("=", 1) for pair in env.str("KM_SIGNER_URIS", default="").split())
HSM_PIN = given("KM_HSM_PIN")

CACHES = {
    "default": (
        # Django's 300 entries would let a guesser push out the count of an account by naming others.
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
        if EMBEDDED
        else {"BACKEND": "kmcloud.cache.Cache", "LOCATION": REDIS_URL}
    )
}

# Celery carries wake-ups only, never data: a lost message delays, it cannot lose an event.
_BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_URL = given("KM_BROKER_URL", REDIS_URL or "filesystem://localhost/")
if CELERY_BROKER_URL.startswith("filesystem:"):
    _BROKER_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER_DIR),
        "data_folder_out": str(_BROKER_DIR),
        "control_folder": str(_BROKER_DIR),
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith(("redis:", "rediss:", "unix:")):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_connect_timeout": 1.0,
        # A Redis that accepts and never answers is a broken one. Longer than the second that a worker's BRPOP waits.
        "socket_timeout": 3.0,
        "socket_keepalive": True,
        # Who sends a wake-up from within a request tries once: whatever is lost is found again by a sweep.
        "max_retries": 1,
        "interval_start": 0.0,
        "interval_step": 0.1,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = roles.MAINTENANCE
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what one worker cannot begin yet is another's
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # a worker takes tasks and nothing else; heartbeats are rows
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "dashboard:login"
LOGIN_REDIRECT_URL = "dashboard:overview"
CSRF_FAILURE_VIEW = "dashboard.boundary.form_too_old"

# Who gets an account: whoever is invited, or, with `open`, also who asks for one.
SIGN_UP = env.str("KM_SIGN_UP", default="invitation")
STAFF_MFA = env.bool("KM_STAFF_MFA", default=PRODUCTION)  # a second factor for the operator's console
# The organisation's own accounts: an OpenID Connect issuer, and whom it may vouch for (customers.single_sign_on).
OIDC_ISSUER = env.str("KM_OIDC_ISSUER", default="").rstrip("/")
OIDC_CLIENT_ID = env.str("KM_OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = given("KM_OIDC_CLIENT_SECRET")
OIDC_NAME = env.str("KM_OIDC_NAME", default="single sign-on")
OIDC_DOMAINS = env.list("KM_OIDC_DOMAINS", default=[])
OIDC_CUSTOMER = env.str("KM_OIDC_CUSTOMER", default="")
OIDC_ROLE = env.str("KM_OIDC_ROLE", default="viewer")

# django-allauth: passwords' letters, second factors, single sign-on. Accounts are made by invitations alone.
ACCOUNT_ADAPTER = "dashboard.identity.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation has proven the address before there is an account
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no letters to strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
MFA_ADAPTER = "dashboard.identity.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses are not kept by allauth
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Kilometers"
MFA_TOTP_TOLERANCE = 1  # half a minute of a phone's clock
SOCIALACCOUNT_ADAPTER = "dashboard.identity.SingleSignOnAdapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form's redirect to the issuer would break the policy's `form-action`
_OIDC_APP = {
    "provider_id": "sso",
    "name": OIDC_NAME,
    "client_id": OIDC_CLIENT_ID,
    "secret": OIDC_CLIENT_SECRET,
    "settings": {"server_url": OIDC_ISSUER, "oauth_pkce_enabled": True},
}
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_OIDC_APP] if OIDC_ISSUER else []}}

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "kmcloud.formats"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True  # no collectstatic step on a laptop
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_BEHIND_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _BEHIND_TLS
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _BEHIND_TLS  # http://localhost, where browsers allow passkeys too
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
    "SITE_ICON": "kmcloud.admin_look.icon",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "kmcloud.admin_look.icon"}],
    "STYLES": ["kmcloud.admin_look.sheet"],
    "COLORS": {
        "primary": {  # the dashboard's accent, from its softest ground to its deepest ink
            "50": "#eef3fe",
            "100": "#dfe8fd",
            "200": "#c3d3fb",
            "300": "#9bb6f7",
            "400": "#7b9cf3",
            "500": "#5f86f0",
            "600": "#2b57d6",
            "700": "#2346b0",
            "800": "#1e3a8c",
            "900": "#1b316f",
            "950": "#121f47",
        }
    },
    "SIDEBAR": {"navigation": "kmcloud.admin_look.sidebar"},
    "DASHBOARD_CALLBACK": "kmcloud.admin_start.fill",
    "SHOW_HISTORY": False,  # the audit log is the history, and it is complete
}

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "core.error_answers.handle",
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
    "DEFAULT_GENERATOR_CLASS": "kmcloud.openapi.SchemaGenerator",
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
# Where builds and `go vet` keep the standard library that they compiled once. Only who runs builds may write here.
TOOLCHAIN_CACHE_DIR = Path(env.str("KM_TOOLCHAIN_CACHE_DIR", default=str(DATA_DIR / "toolchains"))).absolute()
PACKAGE_DAYS = env.int("KM_PACKAGE_DAYS", default=180)  # how long a customer's package is good; renewed long before

TOKEN_SECONDS = env.int("KM_TOKEN_SECONDS", default=3600)
LEASE_REFRESH_SECONDS = env.int("KM_LEASE_REFRESH_SECONDS", default=REFRESH_SECONDS)
LOG_LEVEL = env.str("KM_LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("KM_LOG_JSON", default=PRODUCTION)

# Who may look at /metrics: whoever has the token, or comes from one of the networks (kmcloud.scraping).
METRICS_TOKEN = given("KM_METRICS_TOKEN")
_IS_THIS_MACHINE = urlsplit(PUBLIC_URL).hostname in {"127.0.0.1", "localhost", "::1"}
_NEARBY = ["127.0.0.0/8", "::1/128"] if _IS_THIS_MACHINE else []
METRICS_NETWORKS = [ip_network(each.strip()) for each in env.list("KM_METRICS_NETWORKS", default=_NEARBY)]
# Each web process counts in files of its own, and a scrape adds them up. Set before prometheus_client is imported; by
# host, because process numbers of two containers that share a directory are the same.
_COUNTS_DIR = DATA_DIR / "metrics" / socket.gethostname()
_COUNTS_DIR.mkdir(parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_COUNTS_DIR)  # whatever a parent with another directory said

# Networks that webhooks may be sent to beside the public internet, and without TLS too (alerts.addresses).
_OWN_NETWORKS = env.list("KM_WEBHOOK_PRIVATE_NETWORKS", default=[])
WEBHOOK_PRIVATE_NETWORKS = [ip_network(each.strip()) for each in _OWN_NETWORKS]

# Where MCP calls are exported to as OpenTelemetry spans and metrics; the headers are spelled as OpenTelemetry's own
# variable has them: `name=value` pairs with commas between, percent-encoded.
OTLP_ENDPOINT = env.str("KM_OTLP_ENDPOINT", default="")
_OTLP_PAIRS = (pair.partition("=") for pair in given("KM_OTLP_HEADERS").split(",") if "=" in pair)
OTLP_HEADERS = {name.strip(): unquote(value.strip()) for name, _, value in _OTLP_PAIRS}

LOGGING = logs.configure(level=LOG_LEVEL, as_json=LOG_JSON)
