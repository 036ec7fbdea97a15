"""The ledger of bytes and its limit: what a charge leaves, who is refused, and that the fold changes nothing."""

from collections.abc import Iterator
from functools import partial

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from harborlite import celery
from harborlite.actors import OPERATOR
from harborlite.errors import BadRequest, NotFound, QuotaExceeded
from projects import quota, tasks
from projects.models import Project, Quota, QuotaEntry
from projects.quota import UNLIMITED, Usage
from projects.services import quotas
from projects.services.projects import project_create, project_delete
from system import config
from system.models import Event
from system.services import configuration_update
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _configuration_is_read_anew(transactional_db: None) -> Iterator[None]:
    config.forget()
    yield
    config.forget()


def project(name: str = "vault", hard: int | None = None) -> Project:
    return project_create(name=name, owner=OPERATOR, storage_limit=hard)


def charge(owner: Project, delta: int) -> None:
    with transaction.atomic():
        quotas.quota_charge(project_id=owner.pk, delta=delta)


def used(owner: Project) -> int:
    return quota.of(owner.pk).used


# The ledger.


def test_charges_add_up_and_are_released() -> None:
    vault = project()
    for delta in (10, 20, -10, 5):
        charge(vault, delta)
    assert quota.of(vault.pk) == Usage(UNLIMITED, 25)


def test_charging_without_a_limit_is_one_statement() -> None:
    vault = project()
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        quotas.quota_charge(project_id=vault.pk, delta=10)
    assert len(captured) == 1, captured.captured_queries


def test_what_is_undone_was_never_charged() -> None:
    vault = project()
    with transaction.atomic():
        quotas.quota_charge(project_id=vault.pk, delta=10)
        transaction.set_rollback(True)
    assert used(vault) == 0


def test_the_fold_changes_the_rows_and_not_the_sum() -> None:
    vault, other = project(), project("other")
    for delta in (10, 20, -10):
        charge(vault, delta)
    charge(other, 7)
    assert quotas.quotas_fold() == 2
    assert not QuotaEntry.objects.exists()
    assert dict(Quota.objects.values_list("project__name", "folded")) == {"vault": 20, "other": 7}
    assert (used(vault), used(other)) == (20, 7)
    assert quotas.quotas_fold() == 0


def test_a_long_ledger_is_folded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "BATCH", 2)
    vault = project()
    for delta in (10, -10, 20, -5, 7):
        charge(vault, delta)
    sizes = []
    while quotas.quotas_fold():
        sizes.append((QuotaEntry.objects.count(), used(vault)))
    assert sizes == [(3, 22), (1, 22), (0, 22)]


def test_sums_are_right_while_it_is_charged_folded_and_read() -> None:
    vault = project()
    charge(vault, 1000)

    def pay() -> None:
        for _ in range(40):
            charge(vault, 3)
            charge(vault, -3)

    def read() -> set[int]:
        return {used(vault) for _ in range(80)}

    def fold() -> None:
        for _ in range(40):
            quotas.quotas_fold()

    *_, one, other = together(pay, pay, fold, fold, read, read)
    assert isinstance(one, set)
    assert isinstance(other, set)
    assert one | other <= {1000, 1003, 1006}
    assert used(vault) == 1000


def test_the_ledger_goes_with_its_project() -> None:
    vault = project()
    charge(vault, 10)
    project_delete(project=vault)
    assert not Quota.objects.exists()
    assert not QuotaEntry.objects.exists()


def test_an_entry_that_came_too_late_is_dropped() -> None:
    """Something was unlinked in the moment in which its project was deleted."""
    QuotaEntry.objects.create(project_id=10**9, delta=-5)
    assert quotas.quotas_fold() == 0
    assert not QuotaEntry.objects.exists()


# The limit.


def test_what_does_not_fit_is_refused_in_harbors_words() -> None:
    vault = project(hard=10 * MIB)
    charge(vault, int(9.5 * MIB))
    with pytest.raises(QuotaExceeded) as refused:
        charge(vault, 3 * MIB)
    assert str(refused.value) == (
        "Quota exceeded when processing the request of adding 3.0 MiB of storage resource, which when updated to "
        "current usage of 9.5 MiB will exceed the configured upper limit of 10.0 MiB."
    )
    assert refused.value.detail == {"adding": 3 * MIB, "used": int(9.5 * MIB), "hard": 10 * MIB}
    assert used(vault) == int(9.5 * MIB)


def test_the_last_byte_fits() -> None:
    vault = project(hard=10)
    charge(vault, 10)
    with pytest.raises(QuotaExceeded):
        charge(vault, 1)


def test_those_who_push_together_never_pass_it_together() -> None:
    vault = project(hard=100)
    results = together(*[partial(charge, vault, 9)] * 20)
    assert used(vault) == 99
    assert sorted(map(str, results)).count(str(QuotaExceeded)) == 9


def test_what_goes_always_goes() -> None:
    vault = project(hard=100)
    charge(vault, 100)
    quotas.quota_update(quota_id=vault.quota.pk, hard=10)
    charge(vault, -50)
    assert quota.of(vault.pk) == Usage(10, 50)


def test_a_project_over_its_limit_takes_nothing_more() -> None:
    vault = project(hard=100)
    charge(vault, 100)
    assert quota.require(vault.pk) == Usage(100, 100)
    quotas.quota_update(quota_id=vault.quota.pk, hard=99)
    with pytest.raises(QuotaExceeded):
        quota.require(vault.pk)


def test_no_limit_counts_when_quotas_are_switched_off() -> None:
    vault = project(hard=100)
    configuration_update(values={"quota_per_project_enable": False})
    charge(vault, 101)
    assert quota.require(vault.pk, 5).used == 101
    configuration_update(values={"quota_per_project_enable": True})
    with pytest.raises(QuotaExceeded):
        charge(vault, 1)


def test_coming_near_it_is_told_once() -> None:
    vault = project(hard=100)
    for delta in (84, 1, 5, -20, 20):
        charge(vault, delta)
    told = Event.objects.filter(operation="warn", resource_type="quota").order_by("pk")
    assert [(event.resource, event.project_id, event.extra["used"]) for event in told] == [
        ("vault", vault.pk, 85),
        ("vault", vault.pk, 90),
    ]


def test_a_limit_lowered_to_what_is_there_is_told_too() -> None:
    vault = project()
    charge(vault, 90)
    for hard in (200, 100, 99, -1, 95):
        quotas.quota_update(quota_id=vault.quota.pk, hard=hard)
    told = Event.objects.filter(operation="warn", resource_type="quota").order_by("pk")
    assert [event.extra["hard"] for event in told] == [100, 95]


# The quota itself.


def test_a_new_project_has_the_limit_of_the_configuration() -> None:
    assert project("before").quota.hard == UNLIMITED
    configuration_update(values={"storage_per_project": 12345})
    assert project("after").quota.hard == 12345
    assert project("given", 7).quota.hard == 7


@pytest.mark.parametrize("hard", [0, -2, 2**63, -(2**63)])
def test_what_is_no_limit_is_refused(hard: int) -> None:
    vault = project()
    with pytest.raises(BadRequest, match="hard"):
        quotas.quota_update(quota_id=vault.quota.pk, hard=hard)
    with pytest.raises(BadRequest, match="hard"):
        project("another", hard)
    assert not Project.objects.filter(name="another").exists()


def test_setting_it_is_written_down() -> None:
    vault = project()
    quotas.quota_update(quota_id=vault.quota.pk, hard=50)
    event = Event.objects.get(operation="update", resource_type="quota")
    assert (event.resource, event.project_id, event.extra["hard"]) == ("vault", vault.pk, {"from": -1, "to": 50})


def test_there_is_no_quota_without_a_project() -> None:
    with pytest.raises(NotFound):
        quotas.quota_update(quota_id=10**9, hard=5)
    with pytest.raises(NotFound):
        quota.quota_get(10**9)


def test_the_fold_is_what_beat_sends() -> None:
    vault = project()
    charge(vault, 10)
    sent = {entry["task"] for entry in celery.app.conf.beat_schedule.values()}
    assert tasks.quotas_fold.name in sent
    tasks.quotas_fold()
    assert Quota.objects.get(project=vault).folded == 10
