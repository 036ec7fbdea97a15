"""Writes of the configuration."""

from collections.abc import Mapping

from django.db import transaction
from django.db.models.functions import Now

from harborlite.errors import BadRequest, Denied
from system import config, events, keys, syslog
from system.keys import BY_NAME, BadValue, Value
from system.models import Configuration


def configuration_update(*, values: Mapping[str, object]) -> None:
    """The keys in `values` have these values; names that are no key and values that are None don't count (Harbor).

    BadRequest names the key whose value is not allowed, Denied the one that the environment has fixed to another.
    """
    wanted = {name: _checked(name, value) for name, value in values.items() if name in BY_NAME and value is not None}
    before = config.everything()
    for name, value in wanted.items():
        if name in keys.fixed() and value != before[name]:
            raise Denied(f"{name} is fixed by the server's environment and can't be changed")
    changed = {name: value for name, value in sorted(wanted.items()) if value != before[name]}
    _check_together({**before, **changed}, changed)
    if not changed:
        return
    with transaction.atomic(durable=True):
        Configuration.objects.bulk_create(
            [Configuration(key=name, value=value, updated_at=Now()) for name, value in changed.items()],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["value", "updated_at"],
        )
        shown = {name: events.HIDDEN if BY_NAME[name].is_secret else value for name, value in changed.items()}
        events.emit(
            "update",
            "configuration",
            "configuration",
            description=f"update configuration: {', '.join(changed)}",
            extra={"changed": [{"key": name, "value": value} for name, value in shown.items()]},
        )
        config.changed_on_commit()
    config.forget()


def _checked(name: str, value: object) -> Value:
    try:
        return BY_NAME[name].kind.check(value)
    except BadValue as error:
        raise BadRequest(f"{name} {error}") from None


def _check_together(after: Mapping[str, Value], changed: Mapping[str, Value]) -> None:
    """BadRequest when the keys contradict each other, or the world. Not in a transaction: it may use the network."""
    unknown = sorted(events.types_in(str(after["disabled_audit_log_event_types"])) - set(events.TYPES))
    if unknown and "disabled_audit_log_event_types" in changed:
        raise BadRequest(f"disabled_audit_log_event_types: there is no event type {unknown[0]}")
    endpoint = str(after["audit_log_forward_endpoint"])
    if after["skip_audit_log_database"] and not endpoint:
        raise BadRequest("skip_audit_log_database needs an audit_log_forward_endpoint: events would be lost")
    if endpoint and "audit_log_forward_endpoint" in changed:
        try:
            syslog.connect(endpoint).close()
        except (OSError, OverflowError):
            raise BadRequest("audit_log_forward_endpoint: nothing answers there") from None
