"""Secrets of access tokens and robots: how they are made and what is kept of them. Pure."""

import hashlib
import secrets
import string

PREFIX = "hlp_"
"""How personal access tokens start, so that secret scanners find them."""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 43  # of 62 characters: 256 bits


def random_secret() -> str:
    """A secret that can't be guessed, of letters and digits: it survives shells, headers and double clicks."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_random(text: str) -> bool:
    """Whether `text` can be the secret that was made for a robot."""
    return len(text) == _LENGTH and text.isascii() and text.isalnum()


def is_token(text: str) -> bool:
    """Whether `text` can be the secret of an access token, which no password looks like."""
    return text.startswith(PREFIX) and is_random(text.removeprefix(PREFIX))
