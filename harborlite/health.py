"""Whether the parts this server stands on are well: for load balancers, Harbor's clients and `harborlite check`.

    /healthz             the process answers
    /readyz              it can serve requests: database and blob storage, not the broker, and not who does jobs
    /api/v2.0/health     every part, in Harbor's form
    /api/v2.0/ping       as /healthz, in Harbor's form

None of them asks who calls. So none says why something is unwell, which is in the log, and what callers ask within
`FRESH` seconds is asked of the part once.
"""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from redis import Redis
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from registry.blobstore import blobstore
from system import monitor

FRESH = 2.0  # seconds
PATIENCE = 5.0  # seconds a caller waits for an answer that another one asked for

logger = logging.getLogger(__name__)


def ask_database() -> None:
    """The database answers; OperationalError when not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_broker() -> None:
    """The broker answers; RedisError when not."""
    url = settings.REDIS_URL.replace("redis+socket://", "unix://", 1)
    with Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
        client.ping()


def ask_storage() -> None:
    """Blob storage takes a write; Unavailable or StorageFull when not."""
    blobstore().check()


def ask_workers() -> None:
    """A worker was seen lately; LookupError when not."""
    if not monitor.pools().exists():
        raise LookupError("no worker was seen lately")


class Component:
    """A part, under Harbor's name for it, and what it answered last."""

    def __init__(self, name: str, ask: Callable[[], None]) -> None:
        self.name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._is_well = False

    def is_well(self) -> bool:
        if not self._lock.acquire(timeout=PATIENCE):
            return False
        try:
            if time.monotonic() - self._asked > FRESH:
                self._is_well = self._answers()
                self._asked = time.monotonic()
            return self._is_well
        finally:
            self._lock.release()

    def _answers(self) -> bool:
        try:
            self._ask()
        except Exception as error:  # noqa: BLE001 - however it fails, it is unwell
            logger.warning("%s is unwell: %s", self.name, str(error).strip())
            return False
        return True


DATABASE = Component("database", ask_database)
STORAGE = Component("registry", ask_storage)
BROKER = Component("redis", ask_broker)
WORKERS = Component("jobservice", ask_workers)
CORE = Component("core", lambda: None)  # it answers this request


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    unwell = [component.name for component in (DATABASE, STORAGE) if not component.is_well()]
    if unwell:
        text = f"not ready: {', '.join(unwell)}\n"
        return HttpResponse(text, content_type="text/plain", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return HttpResponse("ready\n", content_type="text/plain")


class ComponentOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    status = serializers.ChoiceField(["healthy", "unhealthy"])
    error = serializers.CharField(required=False)


class HealthOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["healthy", "unhealthy"])
    components = ComponentOut(many=True)


class Health(RestView):
    authentication_classes = ()
    needs = {"GET": None}

    @operation(gives=HealthOut)
    def get(self, request: Request) -> HttpResponse:
        """How every part is"""
        components = [_told(component) for component in (CORE, DATABASE, STORAGE, BROKER, WORKERS)]
        is_well = all(component["status"] == "healthy" for component in components)
        return self.shown(HealthOut({"status": "healthy" if is_well else "unhealthy", "components": components}))


class Ping(RestView):
    authentication_classes = ()
    needs = {"GET": None}

    @operation(gives=OpenApiTypes.STR, media="text/plain")
    def get(self, request: Request) -> HttpResponse:
        """Whether the server answers"""
        return HttpResponse("Pong", content_type="text/plain; charset=utf-8")


def _told(component: Component) -> dict[str, str]:
    if component.is_well():
        return {"name": component.name, "status": "healthy"}
    return {"name": component.name, "status": "unhealthy", "error": "it does not answer; see the log"}
