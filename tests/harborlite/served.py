"""A small Django site over `harborlite.http`, for a real server to run: what each view does is its name."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path

from harborlite import http
from harborlite.errors import HarborliteError
from harborlite.server.worker import Worker

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[], APPEND_SLASH=False)


class HastyWorker(Worker):
    """The worker with deadlines a test can wait for."""

    HEAD_SECONDS = 0.6
    LINGER_SECONDS = 1.0
    STOP_SECONDS = 0.3
    ROOM_SECONDS = 0.1
    TICK_SECONDS = 0.05


outcomes: list[str] = []
counted = {"sendfile": 0}
_sendfile = os.sendfile


def _counting_sendfile(*arguments: Any) -> int:
    counted["sendfile"] += 1
    return _sendfile(*arguments)


os.sendfile = _counting_sendfile  # type: ignore[assignment]


def rendered(view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The view, its errors answered as the product does, its outcome noted for /state."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponseBase:
        try:
            response = view(request)
        except HarborliteError as error:
            outcomes.append(type(error).__name__)
            body = {"errors": [{"code": error.code, "message": error.message}]}
            response = JsonResponse(body, status=error.status, headers=error.headers)
            if error.close:
                response["Connection"] = "close"
            return response
        outcomes.append(view.__name__)
        return response

    return wrapped


@rendered
def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"hello", content_type="text/plain", headers={"Content-Length": "5"})


@rendered
def upload(request: HttpRequest) -> HttpResponse:
    limit = request.GET.get("limit")
    body = http.Body(request, int(limit) if limit else None)
    digest = hashlib.sha256()
    for chunk in body:
        digest.update(chunk)
    return JsonResponse({"received": body.received, "sha256": digest.hexdigest(), "declared": body.declared})


@rendered
def manifest(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"received": len(http.Body(request).read_all(100_000))})


@rendered
def read(request: HttpRequest) -> HttpResponse:
    """Reads as any WSGI application does."""
    return JsonResponse({"received": len(request.environ["wsgi.input"].read())})  # type: ignore[attr-defined]


@rendered
def refuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"no", status=401, headers={"Content-Length": "2"})


@rendered
def leave(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"bye", headers={"Content-Length": "3", "Connection": "close"})


@rendered
def nap(request: HttpRequest) -> HttpResponse:
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse(b"rested", headers={"Content-Length": "6"})


@rendered
def large(request: HttpRequest) -> HttpResponse:
    """An answer from memory."""
    return HttpResponse(b"x" * int(request.GET["length"]), headers={"Content-Length": request.GET["length"]})


@rendered
def boom(request: HttpRequest) -> HttpResponse:
    raise SystemExit("boom")


@rendered
def file(request: HttpRequest) -> HttpResponseBase:
    source = open(os.environ["SERVED_FILE"], "rb")  # noqa: SIM115 - the response closes it
    total = int(request.GET.get("total", os.path.getsize(source.name)))
    start = int(request.GET.get("start", 0))
    length = int(request.GET.get("length", total - start))
    return http.file_response(request, source, start=start, length=length, total=total)


class Zeros:
    """A stream that is no file."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.closed = False

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

    def close(self) -> None:
        if not self.closed:
            outcomes.append("closed")
        self.closed = True


@rendered
def stream(request: HttpRequest) -> HttpResponseBase:
    total = int(request.GET["length"])
    return http.file_response(request, Zeros(int(request.GET.get("real", total))), length=total, total=total)


def state(request: HttpRequest) -> HttpResponse:
    """What the process holds; `outcomes` since the last call."""
    seen, outcomes[:] = outcomes[:], []
    names = [_link(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    with open("/proc/self/status", encoding="ascii") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return JsonResponse(
        {
            "outcomes": seen,
            "files": names.count(os.environ.get("SERVED_FILE", "-")),
            "sockets": sum(name.startswith("socket:") for name in names),
            "slots": http._slots()._value,
            "threads": threading.active_count(),
            "peak_kib": resident,
            **counted,
        }
    )


def _link(name: str) -> str:
    try:
        return os.readlink(name)
    except OSError:
        return ""


def echo(request: HttpRequest) -> HttpResponse:
    keys = [key for key in request.META if key.isupper()]
    return JsonResponse({key: request.META[key] for key in keys} | {"scheme": request.META["wsgi.url_scheme"]})


_views = (hello, upload, manifest, read, refuse, leave, nap, large, boom, file, stream, state, echo)
urlpatterns = [path(view.__name__, view) for view in _views]
application = get_wsgi_application()
