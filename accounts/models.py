"""Who: people, groups, robots as users of kind "robot", and the secrets they sign in with.

    Group (child of Django's) --< User.groups >-- User --< AccessToken
                                                   |
                                       projects.Robot (kind "robot")
    FailedSignIns: of any name, whether it is a User's or not

`User.access_version` goes up whenever something is taken from the account; tokens issued before die by it.
"""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group as DjangoGroup
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now

from accounts.names import ROBOT_MARK
from system import config


class User(AbstractBaseUser, PermissionsMixin):
    """An account. `is_superuser` is Harbor's system administrator. Robots have no password, only an AccessToken.

    `username_key` is accounts.names.fold(username): the services write both, the constraint makes it one namespace.
    """

    class Kind(models.TextChoices):
        USER = "user"
        ROBOT = "robot"

    username = models.CharField(max_length=255, unique=True)
    username_key = models.CharField(max_length=255, unique=True)
    email = models.EmailField(null=True)  # noqa: DJ001 - many have none, and the constraint must not compare them
    realname = models.CharField(max_length=255, blank=True, default="")
    comment = models.CharField(max_length=255, blank=True, default="")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.USER)
    is_active = models.BooleanField(default=True)
    access_version = models.IntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = BaseUserManager["User"]()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_unique_email"),
            models.CheckConstraint(condition=~models.Q(username_key=""), name="user_has_key"),
            models.CheckConstraint(
                condition=models.Q(kind="user") | models.Q(kind="robot", is_superuser=False), name="user_robot_no_admin"
            ),
        ]

    def __str__(self) -> str:
        return self.login

    @property
    def login(self) -> str:
        """What the account types to sign in: for robots with the configured prefix."""
        if self.kind == self.Kind.ROBOT:
            return str(config.get("robot_name_prefix")) + self.username.removeprefix(ROBOT_MARK)
        return self.username


class Group(DjangoGroup):
    """A group of people, known by name to whatever signs them in. Names have up to 150 characters: Django's limit."""

    class Kind(models.IntegerChoices):
        """Harbor's group types."""

        LDAP = 1
        HTTP = 2
        OIDC = 3

    kind = models.SmallIntegerField(choices=Kind)
    ldap_group_dn = models.CharField(max_length=512, blank=True, default="")

    objects: ClassVar[models.Manager["Group"]] = models.Manager()  # type: ignore[assignment]  # Django's yields its own

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                Lower("ldap_group_dn"), condition=~models.Q(ldap_group_dn=""), name="group_unique_ldap_dn"
            ),
            models.CheckConstraint(condition=models.Q(kind=1) | models.Q(ldap_group_dn=""), name="group_dn_is_ldaps"),
        ]


class AccessToken(models.Model):
    """A secret that signs its user in instead of a password: of a person as many as they like, of a robot one.

    Only the SHA-256 of the secret is kept. The secrets are random with 256 bits, so no slow hash is needed.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="accesstoken_unique_name")]

    def __str__(self) -> str:
        return self.name


class FailedSignIns(models.Model):
    """Wrong passwords for `account` (a username_key, or lockout.ANYBODY) from one source (accounts.lockout) lately."""

    account = models.CharField(max_length=255)
    source = models.CharField(max_length=45)
    failures = models.IntegerField()
    last_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["account", "source"], name="failedsignins_unique")]

    def __str__(self) -> str:
        return f"{self.failures} for {self.account or 'anybody'} from {self.source}"
