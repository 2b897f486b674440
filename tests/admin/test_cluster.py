"""Tests of admin.cluster and admin.gatewaylist: several gateways in the API, on the pages and in `/readyz`."""

import json

import attrs
import pytest

from tests.admin.descriptions import NOON, Described, html, scanner, text
from tests.admin.test_pages import Browser, part, tiles
from tests.clusterstates import AWAY, URL, FakeCluster, gateway
from wsdgateway.admin.cluster import cannot_serve, describe_cluster, describe_followed, readiness
from wsdgateway.admin.gatewaylist import MAX_NAMES, gateway_section
from wsdgateway.admin.overview import Overview
from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, LEAVING, TAKING, Ownership, ServerState


class ClusterBrowser(Browser):
    """A browser at the admin site of a gateway in a cluster, which owns `front-desk` and follows `attic`."""

    def __init__(self, cluster, **described):
        own = scanner("front-desk", owner="print-server-1", ownership="owning", lease_age=0.5)
        followed = [describe_followed(one, "http://192.0.2.5:5357", 4, 1) for one in cluster.ownerships()
                    if one.is_elsewhere]
        super().__init__(**{"scanners": [own, *followed], **described})
        self.overview.cluster = cluster


def test_the_cluster_is_described():
    assert describe_cluster(FakeCluster(differing=["[cluster] lease: must be the same"])) == {
        "name": "print-server-1",
        "redis": {"url": URL, "reachable": True, "version": "7.0.15", "era": 3, "problem": None, "problem_since": None},
        "gateways": [
            {"name": "print-server-1", "version": "1.2.3", "address": "http://print-server-1:5360",
             "last_seen": "2026-09-30T11:59:50Z", "scanners": ["front-desk"]},
            {"name": "print-server-2", "version": "1.2.3", "address": "http://print-server-2:5360",
             "last_seen": "2026-09-30T11:59:50Z", "scanners": ["attic"]}],
        "differences": ["[cluster] lease: must be the same"]}
    away = describe_cluster(FakeCluster(redis=AWAY, registered=[gateway("a", address="")]))
    assert away["redis"] == {"url": URL, "reachable": False, "version": "7.0.15", "era": 3,
                             "problem": "no answer within 1 s", "problem_since": "2026-09-30T11:58:50Z"}
    assert away["gateways"][0]["address"] is None


def test_a_followed_scanner_has_the_keys_of_an_owned_one():
    followed = describe_followed(FakeCluster().ownership("attic"), "http://192.0.2.5:5357/", 4, 1)
    assert list(followed) == list(scanner())
    known = {key: value for key, value in followed.items() if value not in (None, [], False)}
    assert known == {"name": "attic", "path": "/attic/scan", "client_url": "http://192.0.2.5:5357/attic/scan",
                     "status_reads": {"here": 4, "there": 1}, "owner": "print-server-2", "ownership": "following",
                     "lease_age": 1.0}
    assert describe_followed(FakeCluster().ownership("attic"), None, 0, 0)["client_url"] is None
    with_ports = describe_followed(FakeCluster().ownership("attic"), None, 0, 0, escl_url="http://192.0.2.5:8400/eSCL",
                                   escl_tls_url="https://192.0.2.5:8401/eSCL")
    assert (with_ports["escl_url"], with_ports["escl_tls_url"]) == (
        "http://192.0.2.5:8400/eSCL", "https://192.0.2.5:8401/eSCL")


def test_the_scanners_of_others_are_listed_without_a_cluster_there_are_none():
    overview = Described(lambda: 0.0)
    assert Overview.describe_scanners(overview) == [] and overview.describe_cluster() is None
    overview.cluster = FakeCluster()
    assert [(one["name"], one["ownership"]) for one in Overview.describe_scanners(overview)] == [
        ("front-desk", "owning"), ("attic", "following")]


def test_the_api():
    status, body = Browser().get("/api/cluster")
    assert (status, json.loads(body)) == (200, None)
    cluster = FakeCluster()
    status, body = ClusterBrowser(cluster).get("/api/cluster")
    assert (status, json.loads(body)) == (200, describe_cluster(cluster))
    assert ClusterBrowser(cluster).get("/api/cluster/nothing")[0] == 404


def test_ready_says_how_each_scanner_is_served():
    cluster = FakeCluster()
    assert ClusterBrowser(cluster).get("/readyz") == (200, (
        "ready\nfront-desk: owned\nattic: passed on to print-server-2\n"))
    cluster.redis = AWAY
    cluster.owned("front-desk", ALONE, "print-server-1")
    assert ClusterBrowser(cluster).get("/readyz") == (200, (
        "ready\nfront-desk: served without Redis\nattic: passed on to print-server-2\n"
        f"warning: {URL}: no answer within 1 s\n"))
    assert Browser().get("/readyz") == (200, "ready\n")


@pytest.mark.parametrize(("one", "said"), [
    (Ownership("a", LEAVING, "print-server-1"), "a: being handed over"),
    (Ownership("a", TAKING), "a: being taken over"), (Ownership("a", FOLLOWING), "a: no gateway owns it"),
    (Ownership("a", FOLLOWING, "b", problem="does not answer at http://b:5360"),
     "a: owned by b: does not answer at http://b:5360")])
def test_the_words_for_a_scanner(one, said):
    assert list(readiness(FakeCluster(owners={"a": one}))) == [said]


def test_a_server_that_does_not_answer_is_named():
    assert list(readiness(FakeCluster(owners={}, redis=ServerState(URL, reachable=False)))) == [
        f"warning: {URL}: no answer"]


def test_not_ready_only_if_no_scanner_can_be_served():
    lost = {"a": Ownership("a", FOLLOWING), "b": Ownership("b", FOLLOWING, "print-server-2", problem="no answer")}
    unserved = FakeCluster(owners=lost, redis=AWAY)
    assert cannot_serve(unserved) == f"no scanner can be served: {URL}: no answer within 1 s"
    assert ClusterBrowser(unserved).get("/readyz") == (503, f"no scanner can be served: {URL}: no answer within 1 s\n")
    assert cannot_serve(attrs.evolve(unserved, redis=FakeCluster().redis)) is None  # somebody takes them over
    assert cannot_serve(attrs.evolve(unserved, owners={})) is None
    for more in (Ownership("c", ALONE, "print-server-1"), Ownership("c", FOLLOWING, "print-server-2")):
        assert cannot_serve(attrs.evolve(unserved, owners={**lost, "c": more})) is None


def test_not_ready_in_the_grace_of_a_new_server_until_a_scanner_has_an_owner():
    nobody = {"a": Ownership("a", FOLLOWING), "b": Ownership("b", FOLLOWING)}
    new = FakeCluster(owners=nobody, redis=ServerState(URL, reachable=True, grace=4.2))
    said = (f"no scanner can be served: {URL}: gateways may take scanners in 5 s, since it has just been started, or "
            "its clock was changed")
    assert ClusterBrowser(new).get("/readyz") == (503, f"{said}\n")
    assert cannot_serve(attrs.evolve(new, redis=ServerState(URL))) == f"no scanner can be served: {URL}: no answer yet"
    owned = attrs.evolve(new, owners={**nobody, "b": Ownership("b", FOLLOWING, "print-server-2")})
    assert ClusterBrowser(owned).get("/readyz") == (
        200, "ready\na: no gateway owns it\nb: passed on to print-server-2\n")
    over = attrs.evolve(new, redis=ServerState(URL, reachable=True))  # requests wait for the takeover
    assert ClusterBrowser(over).get("/readyz") == (200, "ready\na: no gateway owns it\nb: no gateway owns it\n")


def test_the_overview_shows_the_gateways():
    _, page = ClusterBrowser(FakeCluster()).get("/")
    assert tiles(page)[:2] == ["Gateways 2 1 scanner with the others", "Working scanners 1 of 1 no problems"]
    shown = part(page, "gateways")
    assert "Redis answers (version 7.0.15): " + URL in shown
    assert "print-server-1 (this one) 1 scanner front-desk http://print-server-1:5360 1.2.3" in shown
    assert "print-server-2 1 scanner attic http://print-server-2:5360 1.2.3" in shown
    assert "With print-server-2" in part(page, "scanners")
    assert "Problems" not in page


def test_the_overview_shows_scanners_without_redis():
    for ownership, tile, words in ((ALONE, "Working scanners 1 of 1 no problems", "Idle, without Redis"),
                                   (FOLLOWING, "Working scanners 0 of 0 no problems", "Owned by no gateway")):
        page = Browser(scanners=[scanner(ownership=ownership)]).get("/")[1]
        assert tile in tiles(page)
        assert words in part(page, "scanners")


def test_a_gateway_without_others_shows_none():
    _, page = Browser(scanners=[scanner()]).get("/")
    assert "Gateways" not in page and "Owned by" not in Browser(scanners=[scanner()]).get("/scanners/front-desk")[1]


def test_the_overview_shows_that_redis_is_away():
    _, page = ClusterBrowser(FakeCluster(redis=AWAY)).get("/")
    assert tiles(page)[0] == "Gateways 2 Redis cannot be used"
    assert "Redis cannot be used since 11:58" in part(page, "gateways")
    assert f"Warning : {URL}: no answer within 1 s" in text(page)
    assert "Redis cannot be used" in text(html(gateway_section(describe_cluster(FakeCluster(
        redis=ServerState(URL, reachable=True, problem="READONLY"))), NOON)))


def test_trouble_of_redis_that_the_store_tells_is_not_told_twice():
    browser = ClusterBrowser(FakeCluster(redis=AWAY))
    browser.overview.warnings = lambda: [f"{URL}: no answer within 1 s. Meanwhile the gateway works from memory."]
    assert browser.get("/readyz") == (200, (
        "ready\nfront-desk: owned\nattic: passed on to print-server-2\n"
        f"warning: {URL}: no answer within 1 s. Meanwhile the gateway works from memory.\n"))
    assert text(browser.get("/")[1]).count("Warning :") == 1


def test_the_pages_of_owned_and_followed_scanners():
    browser = ClusterBrowser(FakeCluster())
    _, page = browser.get("/scanners/front-desk")
    assert "Owned by print-server-1 Served by this gateway Lease renewed 0.5 s ago" in part(page, "scanner")
    _, page = browser.get("/scanners/attic")
    assert "With print-server-2 Owned by print-server-2 Served by its owner; this gateway passes requests on" in part(
        page, "scanner")
    assert "Status reads 5 passed on" in part(page, "scanner")
    assert "Windows finds it if its owner announces it." in part(page, "add")
    browser.overview.given[0][1].update(owner=None)
    assert "Owned by no gateway" in browser.get("/scanners")[1]
    browser.overview.given[0][1].update(ownership="taking")
    assert "Being taken over" in browser.get("/scanners")[1]
    assert '<option value="attic">' in browser.get("/jobs")[1]


def test_long_lists_of_scanners_are_cut():
    names = [f"s{number}" for number in range(MAX_NAMES + 2)]
    cluster = FakeCluster(registered=[gateway("print-server-1", *names)])
    shown = text(html(gateway_section(describe_cluster(cluster), NOON)))
    assert "14 scanners s0 , s1" in shown and "s11 and 2 more" in shown
    assert "No gateway is registered." in html(gateway_section(describe_cluster(FakeCluster(registered=[])), NOON))
