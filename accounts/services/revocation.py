"""How rights end at once. Everything here is called inside the transaction of the change."""

from collections.abc import Iterable

from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from harborlite import generations
from harborlite.errors import BadRequest, Denied, NotFound


def change(user: User, **values: object) -> None:
    """`user`'s row has `values` and its version is one higher; the instance follows. NotFound when it is gone."""
    changes = {"access_version": F("access_version") + 1, "updated_at": Now(), **values}
    if not User.objects.filter(pk=user.pk).update(**changes):
        raise NotFound("there is no such user")
    user.refresh_from_db()
    generations.bump_on_commit("user", user.pk)


def access_changed(user_ids: Iterable[int]) -> None:
    """What was granted to these accounts before is refused."""
    ids = list(user_ids)
    User.objects.filter(pk__in=ids).update(access_version=F("access_version") + 1, updated_at=Now())
    for user_id in ids:
        generations.bump_on_commit("user", user_id)


def lock_for_removal(user_ids: list[int]) -> None:
    """Nobody can add rows that point to these accounts any more: their commit waits for ours and finds none."""
    list(User.objects.select_for_update().filter(pk__in=user_ids).order_by("pk").values_list("pk"))
    for user_id in user_ids:
        generations.bump_on_commit("user", user_id)


def keep_an_admin(*, besides: User) -> None:
    """Denied when `besides` is the only active administrator.

    All their rows are locked, so that two administrators who remove each other at the same moment don't both succeed.
    """
    admins = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").select_for_update()
    if list(admins.values_list("pk", flat=True)) == [besides.pk]:
        raise Denied("this is the last administrator; make another one first")


def require_person(user: User) -> None:
    """BadRequest for a robot."""
    if user.kind != User.Kind.USER:
        raise BadRequest("a robot is changed as a robot, not as a user")
