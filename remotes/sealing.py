"""Secrets that this server must be able to say again, sealed for the database.

    HARBORLITE_SECRET_KEY --HKDF, a label of its own--> key --Fernet--> what the row holds

A database that leaks leaks no password of another registry. After the key was changed, what former keys sealed is
still read (HARBORLITE_FORMER_SECRET_KEYS), and `reseal` brings it under the new one.
"""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from harborlite.errors import Precondition

_LABEL = b"harborlite: credentials of other registries, 1"


@lru_cache(maxsize=4)
def _keys(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_key(secret)) for secret in secrets])


def _key(secret: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(secret.encode())
    return base64.urlsafe_b64encode(derived)


def _current() -> MultiFernet:
    return _keys((settings.SECRET_KEY, *settings.FORMER_SECRET_KEYS))


def seal(secret: str) -> str:
    """`secret`, sealed; of nothing, nothing."""
    return _current().encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str) -> str:
    """What was sealed. Precondition when it was sealed under a key that is not known any more."""
    try:
        return _current().decrypt(sealed.encode()).decode() if sealed else ""
    except InvalidToken:
        raise _lost() from None


def reseal(sealed: str) -> str:
    """The same secret, sealed anew under the current key. Precondition as of `unseal`."""
    try:
        return _current().rotate(sealed.encode()).decode() if sealed else ""
    except InvalidToken:
        raise _lost() from None


def _lost() -> Precondition:
    return Precondition("the stored access_secret was sealed under a key that is not known any more; give it again")
