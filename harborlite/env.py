"""Every environment variable this product reads: one table with type, default and help, and the typed readers.

`os.environ` is read nowhere else. Names that Harbor has are Harbor's; the rest start with HARBORLITE_.
`docs/settings.md` is written from this table by `python -m harborlite.env`; a test fails when they differ.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variable:
    """One setting: `kind` is text, secret, int, bool, path or list (of words between commas)."""

    name: str
    kind: str
    default: str
    help: str


TABLE: tuple[Variable, ...] = (
    # Where it listens and how clients reach it.
    Variable("EXT_ENDPOINT", "text", "", "URL under which clients reach us, e.g. https://registry.example.com. "
             "The token service's address and the console's commands are built from it; when empty, from the request's "
             "Host header, which must be one of HARBORLITE_ALLOWED_HOSTS."),
    Variable("HARBORLITE_BIND", "text", "127.0.0.1:8080", "HOST:PORT the web server listens on."),
    Variable("HARBORLITE_ALLOWED_HOSTS", "list", "", "Further host names this server answers to, besides localhost, "
             "the bound address and the host of EXT_ENDPOINT."),
    Variable("HARBORLITE_TRUSTED_PROXIES", "list", "", "Addresses of reverse proxies whose X-Forwarded-For and "
             "X-Forwarded-Proto are believed. Those who come through another proxy share its address, and its count of "
             "wrong passwords."),
    Variable("HARBORLITE_WEB_PROCESSES", "int", "2", "Web server processes."),
    Variable("HARBORLITE_WEB_THREADS", "int", "64", "Threads of each web process."),
    Variable("HARBORLITE_WORKER_PROCESSES", "int", "2", "Jobs that a worker does at a time, each in a "
             "process of its own; one more process does the short work."),
    # Secrets.
    Variable("HARBOR_ADMIN_PASSWORD", "secret", "", "Password of the first administrator, set when the database is "
             "empty. When not given, one is generated, printed once and kept in DATA/admin-password (mode 0600)."),
    Variable("HARBORLITE_SECRET_KEY", "secret", "", "Key that signs tokens and sessions; the same on every process. "
             "When not given, one is generated and kept in DATA/secret-key (mode 0600)."),
    Variable("HARBORLITE_FORMER_SECRET_KEYS", "secret", "", "Former values of HARBORLITE_SECRET_KEY, between commas: "
             "passwords of other registries that were stored under them can still be read, until `harborlite remote "
             "reseal` has stored them under the current key."),
    # State.
    Variable("HARBORLITE_DATA", "path", "data", "Directory of everything kept on disk: embedded servers, blobs, "
             "generated secrets. A file ca.crt in it, the certificate of the authority that signed this server's, is "
             "given to clients that ask for it."),
    Variable("DATABASE_URL", "secret", "", "postgres://USER:PASSWORD@HOST:PORT/NAME of an external PostgreSQL 15 or "
             "later. When empty, `harborlite serve` runs the embedded one under DATA."),
    Variable("REDIS_URL", "secret", "", "redis:// or rediss:// URL of an external Valkey or Redis. When empty, "
             "`harborlite serve` runs the embedded one under DATA."),
    Variable("HARBORLITE_DATABASE_POOL", "int", "16", "Most database connections one process opens."),
    # Blobs.
    Variable("HARBORLITE_STORAGE", "text", "filesystem", "Where blobs are kept: filesystem (DATA/blobs) or s3."),
    Variable("HARBORLITE_S3_BUCKET", "text", "harborlite", "Bucket; created when it does not exist."),
    Variable("HARBORLITE_S3_ENDPOINT", "text", "", "URL of an S3-compatible server; empty means AWS."),
    Variable("HARBORLITE_S3_PUBLIC_ENDPOINT", "text", "", "URL of the same server as clients reach it, for presigned "
             "redirects, when it differs from HARBORLITE_S3_ENDPOINT."),
    Variable("HARBORLITE_S3_REGION", "text", "us-east-1", "Region."),
    Variable("HARBORLITE_S3_ACCESS_KEY", "secret", "", "Access key; empty means the ordinary AWS credential chain."),
    Variable("HARBORLITE_S3_SECRET_KEY", "secret", "", "Secret key."),
    Variable("HARBORLITE_S3_PREFIX", "text", "", "Prefix of every object's key inside the bucket."),
    Variable("HARBORLITE_S3_REDIRECT", "bool", "true", "Answer blob downloads with 307 to a presigned URL. When "
             "false, the bytes are proxied."),
    # Limits.
    Variable("HARBORLITE_LEASE_SECONDS", "int", "7200", "Seconds a blob that no manifest references yet is kept after "
             "a client was told that it exists."),
    Variable("HARBORLITE_TOMBSTONE_SECONDS", "int", "86400", "Seconds between a blob's removal from the database and "
             "the removal of its bytes. At least the interval of database backups."),
    Variable("HARBORLITE_JOB_LEASE", "int", "60", "Seconds without a sign of life after which a worker's job is given "
             "to another."),
    Variable("HARBORLITE_RESTORE_DAYS", "int", "7", "Days for which what is deleted can be restored "
             "(docs/recycle-bin.md); 0 for not at all. Its bytes are stored for as long."),
    Variable("HARBORLITE_GC_RATE", "int", "1000", "Rows and objects that a garbage collection removes per second, at "
             "most; 0 for as fast as it can."),
    Variable("HARBORLITE_GC_ORPHANS", "int", "1000", "Stored objects that no row of the database names, of which a "
             "garbage collection removes at most so many, and at most one of 20 objects. When it finds more it removes "
             "none and tells so: rather the database may be older than the store."),
    Variable("HARBORLITE_SCRUB_DAYS", "int", "30", "Days in which each stored blob is read once and compared with its "
             "digest (docs/operations.md); 0 for never."),
    Variable("HARBORLITE_SCRUB_RATE", "int", "50", "MiB per second that a scrub reads, at most; 0 for no limit."),
    Variable("HARBORLITE_UPLOAD_IDLE_HOURS", "int", "24", "Hours after which an upload without progress is discarded."),
    Variable("HARBORLITE_UPLOAD_MAX_HOURS", "int", "168", "Hours after which an unfinished upload is discarded."),
    Variable("HARBORLITE_UPLOADS_PER_ACTOR", "int", "1000", "Open uploads one account may have at a time."),
    Variable("HARBORLITE_IDLE_SECONDS", "int", "60", "Seconds a client may send or take nothing in the middle of a "
             "request before it is cut."),
    Variable("HARBORLITE_MIN_RATE", "int", "1024", "Bytes per second, averaged over HARBORLITE_IDLE_SECONDS, below "
             "which an upload or a download is cut."),
    # Other registries (docs/registries.md).
    Variable("HARBORLITE_OUTBOUND_ALLOW", "list", "", "Where this server may connect to besides public addresses at "
             "ports 80, 443, 5000, 8080 and 8443: HOST, *.DOMAIN, ADDRESS or CIDR, each perhaps with :PORT, :PORT-PORT "
             "or :* for every port, e.g. registry.internal,10.0.0.0/8:443,[fd00::/8]:5000."),
    Variable("HARBORLITE_TRUSTED_REALMS", "list", "", "Hosts of token services that get the passwords of other "
             "registries, besides those that belong to the registry's own host."),
    # What administrators change while the server runs (docs/configuration.md).
    Variable("CONFIG_OVERWRITE_JSON", "text", "", "JSON object of configuration keys whose values are fixed and can't "
             "be changed while the server runs. A variable with a key's name in upper case fixes that one."),
    # Running.
    Variable("LOG_LEVEL", "text", "info", "debug, info, warning or error."),
    Variable("HARBORLITE_FAULTS", "path", "", "For tests: directory of armed failpoints (harborlite/faults.py). "
             "Never set it on a server with data."),
)  # fmt: skip

_BY_NAME: Mapping[str, Variable] = {variable.name: variable for variable in TABLE}
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


class InvalidSetting(Exception):
    """An environment variable's value is not of its kind; the message names it."""


def _raw(name: str) -> str:
    given_text = given(name, is_secret=_BY_NAME[name].kind == "secret")
    return _BY_NAME[name].default if given_text is None else given_text


def given(name: str, *, is_secret: bool = False) -> str | None:
    """What the environment says of `name`, which for a secret may stand in a file; None when it says nothing.

    Also for the configuration's keys (system.keys), which have a table of their own.
    """
    if value := os.environ.get(name):
        return value
    file = os.environ.get(f"{name}_FILE") if is_secret else None
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidSetting(f"{name}_FILE: cannot read {file}: {error.strerror}") from None


def inherited(**further: str) -> dict[str, str]:
    """The environment of a program that is not ours: this process's, and `further`."""
    return {**os.environ, **further}


def text(name: str) -> str:
    return _raw(name)


def choice(name: str, *allowed: str) -> str:
    value = _raw(name)
    if value not in allowed:
        raise InvalidSetting(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")
    return value


def integer(name: str) -> int:
    value = _raw(name)
    if not (value.isascii() and value.isdecimal()):
        raise InvalidSetting(f"{name} must be a whole number, not {value!r}")
    return int(value)


def boolean(name: str) -> bool:
    value = _raw(name).lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidSetting(f"{name} must be true or false, not {_raw(name)!r}")


def path(name: str) -> Path:
    return Path(_raw(name)).expanduser().absolute()


def words(name: str) -> list[str]:
    return [word.strip() for word in _raw(name).split(",") if word.strip()]


def require_valid() -> None:
    """Every variable's value is of its kind; InvalidSetting names the first that is not."""
    readers = {"int": integer, "bool": boolean}
    for variable in TABLE:
        readers.get(variable.kind, text)(variable.name)


def document() -> str:
    """The text of docs/settings.md."""
    rows = [
        f"| `{v.name}` | {v.kind} | {f'`{v.default}`' if v.default else ''} | {v.help} |"
        for v in TABLE
    ]  # fmt: skip
    return "\n".join(
        [
            "# Settings",
            "",
            "Read from the environment when a process starts. Written from `harborlite/env.py` by `make docs`.",
            "",
            "A variable of kind secret can also be given as `NAME_FILE`: the path of a file that holds the value.",
            "",
            "| variable | kind | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    Path("docs/settings.md").write_text(document(), encoding="utf-8")
