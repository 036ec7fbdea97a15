"""Who we are to another registry: Basic, or tokens from its token service, or nobody.

    401 --challenges--> Bearer: ask the realm for a token of the scopes, as this account or as nobody; kept while valid
                        Basic:  name and password with every request from now on

The password goes to the registry's own origin and to realms that may have it (remotes.origins.is_trusted), tokens to
the registry's origin alone.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from remotes import challenges
from remotes.errors import RemoteInvalid, RemoteUnauthorized
from remotes.failures import expect
from remotes.http import Outbound
from remotes.origins import Origin, is_trusted, origin_of

Scopes = tuple[str, ...]
LEAST, LONGEST = 60.0, 3600.0  # seconds that a token is thought valid, whatever its service says
EARLY = 10.0  # seconds before its end from which on it is not used
MOST_TOKENS = 1000


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password."""

    username: str
    secret: str

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()


class Login:
    """What is known about signing in to the registry at `home`. Threads may share it.

    `credentials` is asked when they are first needed: some clouds give a password for a few hours only.
    """

    def __init__(
        self,
        http: Outbound,
        home: Origin,
        credentials: Callable[[], Credentials | None],
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        self._http = http
        self._home = home
        self._credentials = credentials
        self._trusted = trusted
        self._lock = threading.Lock()
        self._is_basic = False
        self._tokens: dict[Scopes, tuple[float, str]] = {}

    def header(self, scopes: Scopes) -> str:
        """Of a request for these scopes, as far as is known: the Authorization header, or nothing."""
        if self._is_basic:
            credentials = self._credentials()
            return credentials.basic if credentials else ""
        until, token = self._tokens.get(scopes, (0.0, ""))
        return f"Bearer {token}" if until > time.monotonic() else ""

    def renew(self, header: str, scopes: Scopes, refused: str = "") -> str:
        """The Authorization header that answers the challenges in `header`, after `refused` was not good enough.

        RemoteUnauthorized when there is nothing better, or the password may not be told to whom the challenge names.
        """
        with self._lock:  # one asks, the others get what it got
            known = self.header(scopes)
            if known and known != refused:
                return known
            self._tokens.pop(scopes, None)
            found = {challenge.scheme: challenge.parameters for challenge in reversed(challenges.parse(header))}
            if "bearer" in found:
                return f"Bearer {self._token(found['bearer'], scopes)}"
            credentials = self._credentials()
            if "basic" in found and credentials and not refused.startswith("Basic "):
                self._is_basic = True
                return credentials.basic
        raise RemoteUnauthorized(answer=401)

    def _token(self, parameters: dict[str, str], scopes: Scopes) -> str:
        realm = parameters.get("realm", "")
        origin = origin_of(realm)
        credentials = self._credentials()
        if credentials and not is_trusted(origin, self._home, self._trusted):
            raise RemoteUnauthorized(
                f"the other registry's tokens come from {origin[1]}, which is not trusted with its password; "
                "HARBORLITE_TRUSTED_REALMS can allow it",
                answer=401,
            )
        asked = [scope for scope in parameters.get("scope", "").split(" ") if scope]
        pairs = [("service", parameters["service"])] if "service" in parameters else []
        pairs += [("scope", scope) for scope in dict.fromkeys((*scopes, *asked))]
        if credentials:
            pairs.append(("account", credentials.username))
        url = realm + ("&" if urlsplit(realm).query else "?") + urlencode(pairs)
        reply = self._http.ask("GET", url, authorization=credentials.basic if credentials else "")
        expect(reply, 200)
        token, seconds = _granted(reply.content)
        if len(self._tokens) >= MOST_TOKENS:
            self._tokens.clear()
        self._tokens[scopes] = (time.monotonic() + seconds - EARLY, token)
        return token


def _granted(content: bytes) -> tuple[str, float]:
    """The token in a token service's answer, and for how many seconds it is valid."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or len(token) > 64 * 1024:
        raise RemoteInvalid("the other registry's token service gives no token")
    seconds = document.get("expires_in")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return token, min(max(seconds, LEAST), LONGEST) if is_number else LEAST
