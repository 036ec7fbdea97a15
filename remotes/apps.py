"""The remotes app."""

from django.apps import AppConfig
from django.conf import settings

from harborlite.env import InvalidSetting
from remotes.addresses import allowed


class RemotesConfig(AppConfig):
    name = "remotes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """What the operator allows is readable, or nothing starts."""
        for entry in settings.OUTBOUND_ALLOW:
            try:
                allowed(entry)
            except ValueError as error:
                raise InvalidSetting(f"HARBORLITE_OUTBOUND_ALLOW: {error}") from None
