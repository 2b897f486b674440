"""Tests of app.clusterregistration: what a gateway registers of itself."""

import attrs
import pytest
from twisted.internet.defer import ensureDeferred

from wsdgateway.app import clusterregistration
from wsdgateway.app.clusterregistration import OwnRegistration, digest_of
from wsdgateway.bridge.cluster.values import MAX_BASES
from wsdgateway.config.reading import make_config
from wsdgateway.config.sections import ScannerConfig

SECTION = ScannerConfig("front-desk", scan="http://192.0.2.1/scan")


class Open:
    address = ("0.0.0.0", 5360)


def registration(known=None, *, server=None, bases=(), **sections):
    config = make_config({"gateway": {"name": "one"}, "listen": [{"endpoint": "tcp:5357"}], **sections}, "test.toml")
    made = OwnRegistration(None, config, "id-1", {} if known is None else known, server,
                           bases=lambda: bases)
    made.listener = Open()
    return made


def test_names_and_digests():
    known = {"front-desk": SECTION}
    one = registration(known, cluster={"endpoint": "tcp:5360", "address": "http://192.0.2.5:5360"})
    assert (one().identifier, one().name, one().address) == ("id-1", "one", "http://192.0.2.5:5360")
    assert one().sections == {"front-desk": digest_of(SECTION)}
    known["other"] = attrs.evolve(SECTION, name="other")
    assert set(one().sections) == {"front-desk", "other"}
    assert digest_of(attrs.evolve(SECTION, timeout=5.0)) != digest_of(SECTION)


def test_no_address_without_an_endpoint():
    one = registration()
    one.listener = None
    assert one().address == ""


def test_the_address_on_the_way_to_the_server(monkeypatch):
    async def local(reactor, host, port):
        assert (host, port) == ("192.0.2.8", 6379)
        return "192.0.2.5"

    monkeypatch.setattr(clusterregistration, "local_address", local)
    one = registration(server=("192.0.2.8", 6379), cluster={"endpoint": "tcp:5360"})
    ensureDeferred(one.look_up())
    assert one().address == "http://192.0.2.5:5360"


@pytest.mark.parametrize(("address", "holds"), [
    ("http://127.0.0.1:5357", True), ("http://192.0.2.77:5357", False), ("http://scan.example:5357", False)])
def test_whether_the_shared_address_is_on_this_host(address, holds):
    assert registration(events={"address": address})().holds_address is holds


def test_no_shared_address():
    assert registration()().holds_address is False


@pytest.mark.parametrize(("address", "registered"), [
    ("http://192.0.2.5:5360", ("http://192.0.2.5:5357",)),
    ("http://127.0.0.1:5360", ("http://127.0.0.1:5357", "http://192.0.2.5:5357"))])
def test_addresses_on_loopback_are_for_gateways_on_this_host(address, registered):
    one = registration(bases=("http://127.0.0.1:5357", "http://192.0.2.5:5357"), cluster={
        "endpoint": "tcp:5360", "address": address})
    assert one().bases == registered


def test_the_number_of_addresses_is_bounded():
    assert len(registration(bases=[f"http://192.0.2.{number}" for number in range(1, 99)])().bases) == MAX_BASES
