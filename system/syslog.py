"""Events as syslog messages (RFC 5424), and the socket they leave by: UDP (RFC 5426) or TCP (RFC 6587, counted).

HOST:PORT and tcp://HOST:PORT    TCP
udp://HOST:PORT                  UDP
"""

import os
import re
import socket
from datetime import UTC

from system.models import Event

PATIENCE = 3.0  # seconds
MAX_BYTES = 8192  # of a message; the rest is cut off
_AUDIT, _NOTICE, _WARNING = 13, 5, 4  # facility "log audit", severities
_ID = "event@32473"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def address_of(endpoint: str) -> tuple[bool, str, int]:
    """Whether `endpoint` is UDP, its host and its port."""
    scheme, _, rest = endpoint.rpartition("://")
    host, _, port = rest.rpartition(":")
    return scheme == "udp", host.strip("[]"), int(port)


def message(event: Event) -> bytes:
    """`event` as RFC 5424 has it."""
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    facts = {
        "user": event.username,
        "operation": event.operation,
        "resourceType": event.resource_type,
        "resource": event.resource,
        "result": "success" if event.is_successful else "failure",
        "address": event.address,
        "requestId": event.request_id,
    }
    data = "".join(f' {name}="{_escaped(value)}"' for name, value in facts.items() if value)
    priority = _AUDIT * 8 + (_NOTICE if event.is_successful else _WARNING)
    head = f"<{priority}>1 {at} {_word(socket.gethostname())} harborlite {os.getpid()} audit [{_ID}{data}] "
    text = _CONTROL.sub(" ", f"{event.username}: {event.description}")
    whole = head.encode() + b"\xef\xbb\xbf" + text.encode("utf-8", "replace")
    return whole[:MAX_BYTES].decode("utf-8", "ignore").encode()


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", _CONTROL.sub(" ", value[:1024]))


def _word(text: str) -> str:
    return re.sub(r"[^!-~]", "", text)[:255] or "-"


class Sender:
    """A connection to a syslog server, made when there is something to send, and anew when it broke. For one thread."""

    def __init__(self) -> None:
        self._endpoint = ""
        self._socket: socket.socket | None = None

    def send(self, endpoint: str, event: Event) -> None:
        """`event` was handed to the server; OSError when it can't be reached."""
        if endpoint != self._endpoint:
            self.close()
        data = message(event)
        is_udp = address_of(endpoint)[0]
        is_old = self._socket is not None
        try:
            self._write(endpoint, data if is_udp else b"%d %s" % (len(data), data))
        except OSError:
            self.close()
            if not is_old:
                raise
            self._write(endpoint, data if is_udp else b"%d %s" % (len(data), data))

    def _write(self, endpoint: str, data: bytes) -> None:
        if self._socket is None:
            self._socket, self._endpoint = connect(endpoint), endpoint
        self._socket.sendall(data)

    def close(self) -> None:
        """Nothing is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def connect(endpoint: str) -> socket.socket:
    """A socket that speaks to `endpoint`; OSError when it can't be reached."""
    is_udp, host, port = address_of(endpoint)
    if not is_udp:
        return socket.create_connection((host, port), timeout=PATIENCE)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, kind, protocol)
    opened.settimeout(PATIENCE)
    opened.connect(address)
    return opened
