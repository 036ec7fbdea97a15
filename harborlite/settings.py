"""The one settings module: readings of the environment and wiring, no values of its own."""

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from harborlite import env, sockets
from harborlite.kept import kept

BASE_DIR = Path(__file__).resolve().parent.parent
DATA = env.path("HARBORLITE_DATA")
SECRET_KEY_IS_GIVEN = bool(env.text("HARBORLITE_SECRET_KEY"))
SECRET_KEY = env.text("HARBORLITE_SECRET_KEY") or kept(DATA / "secret-key", lambda: secrets.token_urlsafe(48))
FORMER_SECRET_KEYS = env.words("HARBORLITE_FORMER_SECRET_KEYS")
DEBUG = False

# Addresses.

EXT_ENDPOINT = env.text("EXT_ENDPOINT").rstrip("/")
BIND = env.text("HARBORLITE_BIND")
_BOUND_HOST = BIND.rpartition(":")[0].strip("[]")
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *([f"[{_BOUND_HOST}]" if ":" in _BOUND_HOST else _BOUND_HOST] if _BOUND_HOST not in ("", "0.0.0.0", "::") else []),  # noqa: S104 - compared, not bound
    *([urlsplit(EXT_ENDPOINT).hostname or ""] if EXT_ENDPOINT else []),
    *env.words("HARBORLITE_ALLOWED_HOSTS"),
]
TRUSTED_PROXIES = env.words("HARBORLITE_TRUSTED_PROXIES")
USE_X_FORWARDED_HOST = False
ROOT_URLCONF = "harborlite.urls"
WSGI_APPLICATION = "harborlite.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "system",
    "accounts",
    "remotes",
    "projects",
    "registry",
    "retention",
]
MIDDLEWARE = [
    "system.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "system.middleware.read_only",
    "accounts.sessions.for_browsers",
]

# The database: PostgreSQL alone. Without DATABASE_URL, the embedded one's socket under DATA.


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise env.InvalidSetting("DATABASE_URL must start with postgres://; PostgreSQL is the only database")
    options = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    host = unquote(options.pop("host", "")) or unquote(parts.hostname or "")
    return {
        "ENGINE": "harborlite.database",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,  # a connection goes back to the process's pool when the request ends
        "OPTIONS": {
            **options,
            "connect_timeout": 5,
            "application_name": "harborlite",
            "options": "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
        },
    }


DATABASE_IS_EMBEDDED = not env.text("DATABASE_URL")
EMBEDDED_SOCKETS = sockets.directory(DATA)
DATABASE_POOL = env.integer("HARBORLITE_DATABASE_POOL")
DATABASES = {
    "default": _database(env.text("DATABASE_URL") or sockets.database_url(DATA)),
}
REDIS_URL = env.text("REDIS_URL") or sockets.broker_url(DATA)

# Who.

AUTH_USER_MODEL = "accounts.User"
ANONYMOUS_USER_NAME = None  # guardian: no database row stands for the anonymous user
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
PASSWORD_HASHERS = ["accounts.hashers.Argon2", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]

# Browsers' sessions (accounts.sessions), under Harbor's names.

SESSION_COOKIE_NAME = "sid"
CSRF_COOKIE_NAME = "_gorilla_csrf"
CSRF_HEADER_NAME = "HTTP_X_HARBOR_CSRF_TOKEN"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_AGE = None  # it goes with the browser
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = EXT_ENDPOINT.startswith("https://")
CSRF_TRUSTED_ORIGINS = ["://".join(urlsplit(EXT_ENDPOINT)[:2])] if EXT_ENDPOINT else []

# Blobs.

STORAGE = env.choice("HARBORLITE_STORAGE", "filesystem", "s3")
BLOBS_ROOT = DATA / "blobs"
S3_REDIRECT = env.boolean("HARBORLITE_S3_REDIRECT")
S3_PUBLIC_ENDPOINT = env.text("HARBORLITE_S3_PUBLIC_ENDPOINT")


def s3_client() -> object:
    """How the client behaves: times bounded, a few retries with jitter, no checksums that only AWS understands."""
    from botocore.config import Config  # not above: a server that keeps files does without

    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if env.text("HARBORLITE_S3_ENDPOINT") else "auto"},
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=3,
        read_timeout=60,
        tcp_keepalive=True,
        max_pool_connections=128,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


_BLOBS: dict[str, dict[str, Any]] = {
    "filesystem": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": BLOBS_ROOT}},
    "s3": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.text("HARBORLITE_S3_BUCKET"),
            "endpoint_url": env.text("HARBORLITE_S3_ENDPOINT") or None,
            "region_name": env.text("HARBORLITE_S3_REGION"),
            "access_key": env.text("HARBORLITE_S3_ACCESS_KEY") or None,
            "secret_key": env.text("HARBORLITE_S3_SECRET_KEY") or None,
            "location": env.text("HARBORLITE_S3_PREFIX"),
            "querystring_expire": 900,
            "client_config": s3_client() if STORAGE == "s3" else None,
        },
    },
}
STORAGES: dict[str, dict[str, Any]] = {
    "blobs": _BLOBS[STORAGE],
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if STORAGE == "s3" and S3_PUBLIC_ENDPOINT:
    STORAGES["blobs_public"] = {
        **_BLOBS["s3"],
        "OPTIONS": {**_BLOBS["s3"]["OPTIONS"], "endpoint_url": S3_PUBLIC_ENDPOINT},
    }

# Limits.

LEASE_SECONDS = env.integer("HARBORLITE_LEASE_SECONDS")
TOMBSTONE_SECONDS = env.integer("HARBORLITE_TOMBSTONE_SECONDS")
JOB_LEASE_SECONDS = max(1, env.integer("HARBORLITE_JOB_LEASE"))
RESTORE_DAYS = env.integer("HARBORLITE_RESTORE_DAYS")
GC_RATE = env.integer("HARBORLITE_GC_RATE")
GC_ORPHANS = env.integer("HARBORLITE_GC_ORPHANS")
SCRUB_DAYS = env.integer("HARBORLITE_SCRUB_DAYS")
SCRUB_RATE = env.integer("HARBORLITE_SCRUB_RATE")
UPLOAD_IDLE_SECONDS = env.integer("HARBORLITE_UPLOAD_IDLE_HOURS") * 3600
UPLOAD_MAX_SECONDS = env.integer("HARBORLITE_UPLOAD_MAX_HOURS") * 3600
UPLOADS_PER_ACTOR = env.integer("HARBORLITE_UPLOADS_PER_ACTOR")
IDLE_SECONDS = env.integer("HARBORLITE_IDLE_SECONDS")
MIN_RATE = env.integer("HARBORLITE_MIN_RATE")

# Other registries.

OUTBOUND_ALLOW = env.words("HARBORLITE_OUTBOUND_ALLOW")
TRUSTED_REALMS = env.words("HARBORLITE_TRUSTED_REALMS")

# Faces.

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.RestAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "harborlite.rest.openapi.Schema",
    "UNAUTHENTICATED_USER": None,
}
SYSTEM_ACTIONS = "projects.rbac.system_actions"  # harborlite.rest asks who may do what outside projects
CONSOLE_AUTHENTICATION = "accounts.authentication.PageAuthentication"  # and harborlite.console, who asks
SPECTACULAR_SETTINGS = {
    "TITLE": "harborlite",
    "DESCRIPTION": "Harbor's REST API, version 2.0, and what harborlite adds to it.",
    "VERSION": "2.0",
    "PREPROCESSING_HOOKS": ["harborlite.rest.openapi.only_the_api"],
    "POSTPROCESSING_HOOKS": [],
    "PATH_CONVERTER_OVERRIDES": {
        "id": {"type": "integer", "format": "int64", "minimum": 0},
        "repository": {
            "type": "string",
            "description": "The repository's path inside the project. Encode its slashes twice: a%252Fb.",
        },
    },
    "SORT_OPERATION_PARAMETERS": False,
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request"],
            "builtins": ["harborlite.console.tags"],
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # files are served from where they are: no step collects them first
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# Logging: one line an event, to standard error.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # A refused request is the client's affair; what went wrong here is logged by harborlite.rest with its traceback.
    # That a message came and was dealt with, which is thousands of times a day, is nobody's news.
    "loggers": {
        "django.request": {"level": "CRITICAL"},
        "django.security": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
    "root": {"handlers": ["stderr"], "level": env.choice("LOG_LEVEL", "debug", "info", "warning", "error").upper()},
}

# Celery.

CELERY = {
    "broker_url": REDIS_URL,
    "accept_content": ["json"],
    "task_serializer": "json",
    "task_ignore_result": True,
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "health_check_interval": 30,
        "visibility_timeout": 24 * 3600,
    },
}
FAULTS = env.text("HARBORLITE_FAULTS")
