"""The registry app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from registry.services.pulls import pulls_count  # models are there only now
        from system import events

        events.on_pulls(pulls_count)
