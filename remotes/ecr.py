"""Amazon's registry: name and password are had for an access key, by a signed request, and are good for twelve hours.

    access key, secret --SigV4--> GetAuthorizationToken --> AWS:PASSWORD for Basic

Who gives `AWS` for the access key has fetched the password already.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from remotes.errors import RemoteInvalid
from remotes.failures import expect
from remotes.http import Outbound
from remotes.login import Credentials
from remotes.origins import origin_of

API = "https://api.ecr.{region}.{domain}/"
VALID = 11 * 3600.0  # seconds
_HOST = re.compile(
    r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(?:\.cn)?)", re.ASCII
)


def exchanged(url: str, keys: Credentials) -> Callable[[], Credentials]:
    """What gives name and password at the registry at `url` to the owner of `keys`, and keeps them while valid."""
    if keys.username == "AWS":
        return lambda: keys
    lock = threading.Lock()
    kept: list[tuple[float, Credentials]] = []

    def give() -> Credentials:
        with lock:
            if not kept or kept[-1][0] < time.monotonic():
                kept[:] = [(time.monotonic() + VALID, _asked(url, keys))]
            return kept[-1][1]

    return give


def _asked(url: str, keys: Credentials) -> Credentials:
    found = _HOST.fullmatch(origin_of(url)[1])
    if found is None:
        raise RemoteInvalid("the address is none of Amazon's: ACCOUNT.dkr.ecr.REGION.amazonaws.com")
    api, body = API.format_map(found.groupdict()), b"{}"
    request = AWSRequest(
        "POST",
        api,
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        },
        body,
    )
    SigV4Auth(Keys(keys.username, keys.secret), "ecr", found["region"]).add_auth(request)
    headers = dict(request.headers.items())
    authorization = headers.pop("Authorization")
    with Outbound() as http:
        reply = http.ask("POST", api, headers=headers, authorization=authorization, body=body)
    # Amazon says 400 of keys that it does not know.
    return _password(expect(reply, 200).content)


def _password(content: bytes) -> Credentials:
    try:
        token = json.loads(content)["authorizationData"][0]["authorizationToken"]
        username, _, secret = base64.b64decode(token, validate=True).decode().partition(":")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise RemoteInvalid("Amazon's API gives no password") from None
    return Credentials(username, secret)
