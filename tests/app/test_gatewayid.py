"""Tests of app.gatewayid: the identity of a gateway, and the host names that are announced for it."""

from wsdgateway.app.escl import host_names
from wsdgateway.app.gatewayid import announced_hosts, gateway_id
from wsdgateway.config.reading import make_config


def config(name="gw", state="memory:"):
    return make_config({
        "gateway": {"name": name, "state": state}, "listen": [{"endpoint": "tcp:5357"}], "escl": {},
        "discovery": {"client_interfaces": ["eth0", "eth1"]}}, "g.toml")


def test_announced_host_names_belong_to_the_gateway():
    assert gateway_id(config()) == gateway_id(config())
    assert len(announced_hosts(config())) == 2
    assert announced_hosts(config()) <= set(host_names(config()))


def test_gateways_that_share_scanners_have_host_names_of_their_own():
    one, two = (config(name, "redis://192.0.2.7") for name in ("one", "two"))
    assert announced_hosts(one).isdisjoint(announced_hosts(two))
