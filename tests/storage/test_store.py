"""Tests of storage.store: the contract of IStore, for each store in `stores.STORES` and that on Redis."""

import attrs
import pytest
import pytest_twisted
from zope.interface.verify import verifyObject

from tests.storage.stores import PLAIN, held, job, kept_offer, own_job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Token
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.storage.store import IStore


def test_the_interface_is_provided(store):
    assert verifyObject(IStore, store)


@pytest_twisted.ensureDeferred
async def test_the_last_jobs_of_each_scanner_are_kept(store):
    for number in range(5):
        store.add(job(number))
        store.add(job(number, "other"))
    assert await store.finished("front-desk") == [job(2), job(3), job(4)]
    assert await store.finished("nobody") == []
    for most, expected in ((0, []), (1, [job(4)]), (2, [job(3), job(4)]), (100, [job(2), job(3), job(4)])):
        assert await store.finished("front-desk", most) == expected


@pytest_twisted.ensureDeferred
async def test_another_history_takes_effect_at_once(store):
    for number in range(3):
        store.add(job(number))
        store.add(job(number, "other"))
    await store.limit(2)
    assert await store.finished("front-desk") == [job(1), job(2)]
    assert await store.finished("other") == [job(1, "other"), job(2, "other")]
    await store.limit(4)
    for number in (3, 4, 5):
        store.add(job(number))
    assert await store.finished("front-desk") == [job(2), job(3), job(4), job(5)]


@pytest_twisted.ensureDeferred
async def test_a_job_whose_job_id_was_reused_is_marked(store):
    for number in (1, 2):
        store.add(job(number))
        store.add(job(number, "other"))
    store.supersede("front-desk", "1")
    store.supersede("nobody", "1")
    store.add(job(1))
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == [
        ("1", True), ("2", False), ("1", False)]
    assert not any(one.superseded for one in await store.finished("other"))
    store.add(job(3))
    assert [one.job_id for one in await store.finished("front-desk")] == ["2", "1", "3"]


def test_the_status_of_a_stored_job_is_final_in_any_state():
    assert attrs.evolve(job(1), state="Terminating").status == JobStatus(
        "1", "Terminating", ("None", "x"), 1, None, "2026-11-22T10:00:00Z", ended=True)


@pytest_twisted.ensureDeferred
async def test_subscriptions_are_read_back_unchanged(store):
    first, second = subscription("a"), subscription("b", **PLAIN)
    await store.save(first, held("a"))
    await store.save(second)
    await store.hold(held(""))
    assert await store.subscriptions() == [first, second]
    assert sorted(await store.held(), key=lambda one: one.identifier) == [held(""), held("a")]
    changed = subscription("a", expires_at=1.0, tokens=(Token("ctx", "t1", "t10"),))
    await store.save(changed)
    await store.hold(held("", expires_at=2.0))
    assert await store.subscriptions() == [changed, second]
    await store.forget("a")
    await store.release("front-desk", "a", held("a").notify_to)
    await store.forget("unknown")
    assert await store.subscriptions() == [second]
    assert await store.held() == [held("", expires_at=2.0)]


@pytest.mark.parametrize("left", [None, subscription("a", **PLAIN)])
@pytest_twisted.ensureDeferred
async def test_a_subscription_replaces_another(store, left):
    await store.save(subscription("a"), held("a"))
    await store.succeed(subscription("b"), held("b"), "a", left)
    found = await store.subscriptions()
    assert [one.identifier for one in found if one.panel] == ["b"]
    assert [(one.panel, one.tokens, one.destinations) for one in found if one.identifier == "a"] == (
        [] if left is None else [(False, (), None)])
    assert await store.held() == [held("b")]


@pytest_twisted.ensureDeferred
async def test_writes_happen_in_the_requested_order(store):
    waits = [store.save(subscription("a")), store.forget("a"), store.hold(held("")),
             store.release("front-desk", "", held("").notify_to)]
    for waiting in waits:
        await waiting
    assert await store.subscriptions() == []
    assert await store.held() == []


@pytest_twisted.ensureDeferred
async def test_a_replaced_subscription_is_not_released(store):
    await store.hold(held("", notify_to="http://gw/new"))
    await store.release("front-desk", "", "http://gw/old")
    assert len(await store.held()) == 1
    await store.release("front-desk", "", "http://gw/new")
    assert await store.held() == []


@pytest_twisted.ensureDeferred
async def test_metadata_versions_and_adopted_scanners(store):
    first = await store.metadata_version("front-desk", "a")
    assert await store.metadata_version("front-desk", "a") == first
    assert await store.metadata_version("front-desk", "b") == first + 1
    assert await store.metadata_version("other", "b") == first
    assert await store.metadata_version("front-desk", "a") == first + 2
    one, two = Adopted("urn:uuid:1", "one"), Adopted("urn:uuid:2", "two")
    await store.adopt(two)
    await store.adopt(one)
    await store.adopt(Adopted("urn:uuid:2", "second"))
    assert sorted(await store.adopted(), key=lambda kept: kept.uuid) == [one, Adopted("urn:uuid:2", "second")]
    with pytest.raises(Exception, match="name"):
        await store.adopt(Adopted("urn:uuid:3", "one"))
    await store.abandon("urn:uuid:2")
    assert await store.adopted() == [one]


@pytest_twisted.ensureDeferred
async def test_own_jobs_are_kept_until_they_end(store):
    await store.begin_job(own_job("1", created=None))
    await store.begin_job(own_job("1", scanner="other"))
    await store.begin_job(own_job("2"))
    await store.begin_job(own_job("1"))
    found = await store.own_jobs()
    assert sorted(found, key=lambda one: (one.scanner, one.job_id)) == [
        own_job("1"), own_job("2"), own_job("1", scanner="other")]
    await store.end_job("front-desk", "1")
    await store.end_job("nobody", "2")
    assert sorted(await store.own_jobs(), key=lambda one: one.job_id) == [own_job("1", scanner="other"), own_job("2")]


@pytest_twisted.ensureDeferred
async def test_the_first_instance_id_is_the_time(store):
    assert await store.next_instance(7) == 7


@pytest_twisted.ensureDeferred
async def test_retry_changes_nothing_if_the_store_is_usable(store):
    was = store.warning()
    await store.retry()
    assert store.warning() == was


@pytest_twisted.ensureDeferred
async def test_a_scanner_keeps_its_escl_port_until_another_gets_it(store):
    assert await store.escl_ports() == {}
    await store.keep_escl_port("a", 8400)
    await store.keep_escl_port("b", 8401)
    assert await store.keep_escl_port("b", 8402, former=8401)
    assert await store.escl_ports() == {"a": 8400, "b": 8402}
    assert await store.keep_escl_port("c", 8400, loser="a")
    assert await store.escl_ports() == {"b": 8402, "c": 8400}


@pytest_twisted.ensureDeferred
async def test_offers_of_escl_scanners_are_replaced_and_forgotten(store):
    assert await store.escl_offers() == []
    for scanner in ("a", "b", "c"):
        await store.keep_escl_offer(kept_offer(scanner))
    newer = kept_offer("a", elements="<b/>", endpoint="urn:uuid:2")
    await store.keep_escl_offer(newer)
    assert await store.escl_offers() == [kept_offer("b"), kept_offer("c"), newer]
    await store.forget_escl_offer("b")
    await store.forget_escl_offer("nobody")
    assert await store.escl_offers() == [kept_offer("c"), newer]


@pytest_twisted.ensureDeferred
async def test_the_oldest_offers_of_escl_scanners_are_deleted(store, monkeypatch):
    for module in ("memory", "rows", "redis.store"):
        monkeypatch.setattr(f"wsdgateway.storage.{module}.MAX_KEPT", 2)
    for scanner in ("a", "b", "a", "c"):
        await store.keep_escl_offer(kept_offer(scanner))
    assert await store.escl_offers() == [kept_offer("a"), kept_offer("c")]


@pytest_twisted.ensureDeferred
async def test_an_own_job_is_known_before_the_scanner_has_created_it(store):
    await store.begin_job(own_job("1", job_id=None, created=None, client="192.0.2.7"))
    assert await store.own_jobs() == [own_job("1", job_id=None, created=None, client="192.0.2.7")]
    await store.begin_job(own_job("1", client="192.0.2.7"))
    assert await store.own_jobs() == [own_job("1", client="192.0.2.7")]
    await store.end_job("front-desk", "1")
    assert await store.own_jobs() == []
