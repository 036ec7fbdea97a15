"""The registries that this one talks to."""

from django.db import models
from django.db.models.functions import Now


class Remote(models.Model):
    """Another registry: where it is, what it is, and who we are there. Harbor calls it a registry endpoint."""

    class Status(models.TextChoices):
        """Harbor's words for how it was found when it was last asked."""

        HEALTHY = "healthy"
        UNHEALTHY = "unhealthy"

    name = models.CharField(max_length=64, unique=True)
    url = models.CharField(max_length=1024)
    """Scheme, host, perhaps a port and a path; no slash at the end."""
    kind = models.CharField(max_length=32)
    """A name in remotes.kinds."""
    description = models.TextField(blank=True, default="")
    access_key = models.CharField(max_length=1024, blank=True, default="")
    """The name we sign in with; empty for nobody."""
    sealed_secret = models.TextField(blank=True, default="")
    """Its password as remotes.sealing has sealed it; empty for none."""
    insecure = models.BooleanField(default=False)
    """Whoever answers is believed, whatever the certificate says."""
    ca_certificate = models.TextField(blank=True, default="")
    """In PEM: the only authorities that are trusted; empty for those of the system."""
    status = models.CharField(max_length=16, choices=Status, default=Status.HEALTHY)
    checked_at = models.DateTimeField(db_default=Now())
    """When it was asked last."""
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
