"""Tests of clustermetrics: the metrics of several gateways, of which a gateway without others has none."""

from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, LEAVING, OWNING, TAKING, Ownership
from wsdgateway.metrics import Metrics

NAMES = ("wsdgateway_cluster_scanners", "wsdgateway_takeovers", "wsdgateway_passed", "wsdgateway_fenced",
         "wsdgateway_redis")


def test_a_gateway_without_others_has_none():
    assert not [line for line in Metrics().render().decode().splitlines() if any(name in line for name in NAMES)]


def test_the_metrics_of_a_cluster():
    metrics, owners = Metrics(), []
    cluster = metrics.watch_cluster(lambda: owners)
    value = metrics.registry.get_sample_value
    for state in (OWNING, FOLLOWING, ALONE):
        assert value("wsdgateway_cluster_scanners", {"state": state}) == 0
    owners += [Ownership(f"s{number}", state) for number, state in enumerate((OWNING, LEAVING, ALONE, TAKING, FOLLOWING,
                                                                              FOLLOWING))]
    counts = [value("wsdgateway_cluster_scanners", {"state": state}) for state in (OWNING, FOLLOWING, ALONE)]
    assert counts == [2, 3, 1]
    metrics.render()
    assert value("wsdgateway_takeovers_total", {"scanner": "s5"}) == 0  # so that the first one counts in a rate
    cluster.takeover("s5")
    cluster.fenced()
    cluster.answered(0.0001)
    cluster.answered(0.3)
    assert value("wsdgateway_takeovers_total", {"scanner": "s5"}) == 1
    assert value("wsdgateway_fenced_total") == 1
    assert value("wsdgateway_redis_seconds_count") == 2
    assert value("wsdgateway_redis_seconds_bucket", {"le": "0.25"}) == 1
    assert value("wsdgateway_redis_seconds_bucket", {"le": "0.5"}) == 2
