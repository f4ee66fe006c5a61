"""Django settings, read from the environment (docs/operations.md lists every variable)."""

import sys
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from avo_project import environment
from avo_project.observability.logging import chosen_format, chosen_level, logging_settings
from avo_project.redis_client.roles import DEFAULT_MAX_CONNECTIONS, cache_settings
from avo_project.redis_client.urls import RedisUrlError

BASE_DIR = Path(__file__).resolve().parent.parent
env = environment.Environment()

DATA_DIR = environment.data_dir(BASE_DIR / "var")
DEBUG = env.bool("DJANGO_DEBUG", default=False)
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="") or environment.stored_secret_key(DATA_DIR)
ALLOWED_HOSTS = env.hosts("DJANGO_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "avo_project.apps.AvoProjectConfig",
    "whitenoise.runserver_nostatic",
    "avo_project.console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "regime.apps.RegimeConfig",
    "signals_app.apps.SignalsConfig",
    "outreach.apps.OutreachConfig",
    "throttling.apps.ThrottlingConfig",
    "rest_framework.authtoken",  # after throttling, whose drf_create_token replaces its command
]
# Commands for cron and probes that use no database load the app of their role and no other, to start fast.
REDIS_COMMANDS = {
    "backfill_regime_ttl": "regime.apps.RegimeConfig",
    "signal_groups": "signals_app.apps.SignalsConfig",
    "signal_lag": "signals_app.apps.SignalsConfig",
}
if app := REDIS_COMMANDS.get(environment.command_name(sys.argv)):
    INSTALLED_APPS = ["avo_project.apps.AvoProjectConfig", app]
MIDDLEWARE = [
    "avo_project.observability.tracing.RequestIdMiddleware",
    "avo_project.middleware.ResponseHeadersMiddleware",
    "avo_project.observability.middleware.RequestMetricsMiddleware",
    "avo_project.http.request_limits.RequestLimitsMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # answers a preflight request before it counts against a limit
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "throttling.middleware.RateLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "avo_project.middleware.ContentLengthMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "avo_project.urls"
WSGI_APPLICATION = "avo_project.wsgi.application"
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "avo_project.http.problems.csrf_failure"
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

SERVES_REQUESTS = environment.serves_requests()
LOCK_WAIT_SECONDS = 1.5  # how long a request waits for a lock; a command waits longer
DATABASES: dict[str, Any] = {"default": env.database(default=DATA_DIR / "db.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": LOCK_WAIT_SECONDS if SERVES_REQUESTS else 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True, DISABLE_SERVER_SIDE_CURSORS=True)
    if SERVES_REQUESTS:
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

try:
    CACHES = cache_settings(
        env.ENVIRON,
        DATA_DIR,
        serves_requests=SERVES_REQUESTS,
        max_connections=env.whole_number("REDIS_MAX_CONNECTIONS", default=DEFAULT_MAX_CONNECTIONS),
    )
except RedisUrlError as error:
    raise SystemExit(str(error)) from None

vars().update(env.mail(default=DATA_DIR / "mail"))

# TLS ends at a proxy, whose header is trusted only if THROTTLE_NUM_PROXIES counts it.
HTTPS = env.bool("DJANGO_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics)$"]
CSRF_TRUSTED_ORIGINS = [
    f"https://{'*' if host.startswith('.') else ''}{host.lower()}" for host in ALLOWED_HOSTS if HTTPS and host != "*"
]
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # HSTS of other subdomains is their owners' decision

# Origins whose pages may read the API's responses. They authenticate with tokens, never with cookies.
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/" if CORS_ALLOWED_ORIGINS else r"(?!)"  # without an origin no response varies by origin
CORS_ALLOW_HEADERS = (
    "accept",
    "authorization",
    "cache-control",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "last-event-id",
    "x-api-key",
    "x-request-id",
)
CORS_EXPOSE_HEADERS = ("ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID")

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
SECURE_CONTENT_TYPE_NOSNIFF = True
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "throttling.authentication.CredentialAuthentication",
        "throttling.authentication.AdminSessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["throttling.throttles.PlanThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_RENDERER_CLASSES": ["avo_project.http.rendering.JSONBytesRenderer"],
    "DEFAULT_PARSER_CLASSES": ["avo_project.http.rendering.JSONBytesParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "avo_project.http.rendering.CredentialsFirstNegotiation",
    "URL_FORMAT_OVERRIDE": None,  # ?format= is a parameter of the schema route only
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "avo_project.http.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Avo API",
    "DESCRIPTION": "Market regimes, macro series, trading signals and outreach.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "throttling.openapi.document_limits"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},  # its links inside buttons cannot be reached by keyboard
}
CONSOLE: dict[str, Any] = {
    "PING_SECONDS": 0.25,  # timeout of a Redis ping for the admin index
    "PASSWORD_GUARD": "throttling.login_guard.guarded",
}
HEALTH = {"PING_SECONDS": 2.0}  # the same for /readyz and /metrics
METRICS_TOKEN = env.bearer_token("METRICS_TOKEN")
METRICS_LISTEN = env.listen_address("METRICS_LISTEN")

# Settings that the apps read through their conf.py. Dotted paths connect apps that never import each other.
REGIME: dict[str, Any] = {}
_hard_cap = env.whole_number("SIGNALS_HARD_CAP", default=1_000_000)
SIGNALS: dict[str, Any] = {
    "HANDLER": "signals_app.services.handling.book_executions",
    "CHANGES": "regime.services.transitions.changes_of_dominant_regime",
    "ALERT_URL": env.http_url("SIGNALS_ALERT_URL") and env.str("SIGNALS_ALERT_URL"),  # a slash at its end counts
    "SOFT_CAP": env.whole_number("SIGNALS_SOFT_CAP", default=min(50_000, max(1, _hard_cap // 2))),
    "HARD_CAP": _hard_cap,
    "DEAD_CAP": env.whole_number("SIGNALS_DEAD_CAP", default=100_000),
    "WAIT_REPLICAS": env.whole_number("SIGNALS_WAIT_REPLICAS", default=0, at_least=0),
    "EXTERNAL_GROUPS": env.words("SIGNALS_EXTERNAL_GROUPS", default=[]),
    "FEED_CLIENTS": env.whole_number("SIGNALS_FEED_CLIENTS", default=500, at_least=0),
    "FEED_ACCESS": "throttling.services.concurrency.open_stream",
}
if SIGNALS["HARD_CAP"] <= SIGNALS["SOFT_CAP"]:  # every trim would leave a stream that takes no more
    environment.stop(
        "SIGNALS_HARD_CAP",
        f"{SIGNALS['HARD_CAP']} is not above SIGNALS_SOFT_CAP ({SIGNALS['SOFT_CAP']}). "
        "Raise it, or lower SIGNALS_SOFT_CAP.",
    )
OUTREACH: dict[str, Any] = {
    "ALLOW_PRIVATE_HOSTS": env.bool("OUTREACH_ALLOW_PRIVATE_HOSTS", default=False),
    "PUBLIC_URL": env.http_url("PUBLIC_URL") or f"http://localhost:{env.ENVIRON.get('PORT', '8000')}",
}
THROTTLING: dict[str, Any] = {
    "RATES": env.str("THROTTLE_RATES", default=""),
    "STREAMS": env.str("THROTTLE_STREAMS", default=""),
    "NUM_PROXIES": env.int("THROTTLE_NUM_PROXIES", default=0),
    "PROCESSES": env.whole_number("WEB_CONCURRENCY", default=1),
    "CLERK_ISSUER": env.http_url("CLERK_ISSUER"),
    "CLERK_JWKS_URL": env.http_url("CLERK_JWKS_URL"),
    "CLERK_JWT_KEY": env.str("CLERK_JWT_KEY", default="", multiline=True),
    "CLERK_AUTHORIZED_PARTIES": env.words("CLERK_AUTHORIZED_PARTIES", default=[]),
    "CLERK_ACCEPTED_TOKENS": env.words("CLERK_ACCEPTED_TOKENS", default=["session_token"]),
    "CLERK_PLAN_TIERS": env.str("CLERK_PLAN_TIERS", default="free_user=free,pro=pro,institutional=institutional"),
    "CLERK_WEBHOOK_SECRET": env.str("CLERK_WEBHOOK_SECRET", default=""),
    # Routes of each scope of a token; those under * are open to every token.
    "SCOPES": {
        "*": ("GET /api/limits",),
        "regime:read": ("GET /api/intelligence/regime",),
        "macro:read": ("GET /api/macro",),
        "signals:read": ("GET /api/signals",),
        "outreach:read": ("GET /api/outreach/touches",),
        "outreach:write": ("POST /api/outreach/touches",),
        "explain:read": ("GET /api/explain",),
    },
}

LOGGING = logging_settings(chosen_format(env.ENVIRON, debug=DEBUG), chosen_level(env.ENVIRON))
LOGGING_CONFIG = None  # Django would first set up handlers that mail exceptions, and load the views they need
dictConfig(LOGGING)
