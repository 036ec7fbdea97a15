"""Writes of the instance's own facts, one noun a file."""

from system.services.configurations import configuration_update
from system.services.events import events_purge

__all__ = ["configuration_update", "events_purge"]
