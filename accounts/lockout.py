"""How many wrong passwords are too many, and how long the door stays closed then. Pure.

    one account, from one source      5 wrong ones
    any accounts, from one source     100

Then it is closed for a minute, after the next wrong one for two, and so on up to 15 minutes; an hour after the last
one all is forgotten. Nobody is locked out by what others do elsewhere. Names that exist and names that don't are
counted alike. Access tokens and secrets made for robots are not counted and pass a closed door: nobody guesses 256
bits, and machines shall not suffer from somebody's guesses.

A source is an IP address, or the /64 that an IPv6 customer has. The addresses of this machine itself stand for
everybody behind a proxy on it that HARBORLITE_TRUSTED_PROXIES does not name: there, each account is counted, but not
all of them together.
"""

from datetime import timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

ANYBODY = ""
"""Stands for all accounts together where an account's key is expected; no account has an empty one."""

HERE = "here"
"""The source of what comes from this machine itself."""

ACCOUNT_MOST = 5
SOURCE_MOST = 100
FORGOTTEN = timedelta(hours=1)
_SHORTEST, _LONGEST = 60, 15 * 60  # seconds


def source_of(address: str) -> str:
    """Whom failures from `address` are counted for."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return HERE  # a socket of this machine
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return HERE
    return str(IPv6Network((int(ip), 64), strict=False) if isinstance(ip, IPv6Address) else ip)


def pause(account: str, source: str, failures: int) -> int:
    """Seconds for which `account` is closed to `source` after this many failures; 0 while it is open."""
    if account == ANYBODY and source == HERE:
        return 0
    over = failures - (SOURCE_MOST if account == ANYBODY else ACCOUNT_MOST)
    return min(_SHORTEST * 2 ** min(over, 10), _LONGEST) if over >= 0 else 0
