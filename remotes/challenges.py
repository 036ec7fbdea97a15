"""How a registry says who may ask (RFC 7235 and the distribution's token specification). Pure."""

import re
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"\s*,?\s*({_WORD})(?=\s|,|$)(?!\s*=)")
MOST = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` is in lower case, as are the names of parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(header: str) -> list[Challenge]:
    """The challenges in a WWW-Authenticate header, as far as they can be read."""
    found: list[Challenge] = []
    position = 0
    header = header[:8192]
    while len(found) < MOST and (scheme := _SCHEME.match(header, position)):
        challenge = Challenge(scheme[1].lower())
        position = scheme.end()
        while parameter := _PARAMETER.match(header, position):
            name, quoted, bare = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            challenge.parameters.setdefault(name.lower(), value)
            position = parameter.end()
        found.append(challenge)
    return found
