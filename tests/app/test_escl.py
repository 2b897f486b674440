"""Tests of app.escl: the addresses at which eSCL clients reach the gateway, and the names of its host."""

import socket
from ipaddress import ip_interface

import pytest

from wsdgateway.app.escl import SpoolUnusable, host_names, make_spool, open_spool
from wsdgateway.app.escladdresses import addresses_to_open
from wsdgateway.config.reading import make_config
from wsdgateway.metrics import Metrics
from wsdgateway.net.transport.interfaces import Interface

HOST = {
    "lo": Interface("lo", 1, (ip_interface("127.0.0.1/8"), ip_interface("::1/128"))),
    "eth0": Interface("eth0", 2, (ip_interface("192.0.2.5/24"), ip_interface("fe80::5/64"))),
    "eth1": Interface("eth1", 3, (ip_interface("198.51.100.5/24"), ip_interface("fe80::6/64")))}


def config(*endpoints, escl=None, folder=None, **sections):
    file = "g.toml" if folder is None else str(folder / "g.toml")
    return make_config({"listen": [{"endpoint": one} for one in endpoints or ("tcp:5357",)],
                        "escl": {"announce": False, **(escl or {})}, **sections}, file)


def opened(config, metrics):
    return open_spool(config, *make_spool(config), None, metrics)


SIDES = {"device_interfaces": ["eth1"], "client_interfaces": ["eth0"]}


@pytest.mark.parametrize(("endpoints", "discovery", "addresses"), [
    (("tcp:5357",), {}, ["0.0.0.0"]), (("tcp:5357", "tcp:5358:interface=192.0.2.5"), {}, ["0.0.0.0"]),
    (("tcp6:5357",), {}, ["::"]), (("tcp:5357", "tcp6:5358"), {}, ["::"]),
    (("tcp:5357:interface=192.0.2.5", "tcp:5357:interface=198.51.100.5"), {}, ["192.0.2.5", "198.51.100.5"]),
    (("tcp:5357:interface=192.0.2.5", "tcp:5357:interface=198.51.100.5"), SIDES, ["192.0.2.5", "fe80::5%eth0"]),
    (("tcp:5357",), SIDES, ["127.0.0.1", "192.0.2.5", "fe80::5%eth0"]),
    (("tcp6:5357",), SIDES, ["127.0.0.1", "::1", "192.0.2.5", "fe80::5%eth0"]),
    (("tcp:5357",), {"device_interfaces": ["eth0"], "client_interfaces": ["eth0"]}, ["0.0.0.0", "fe80::5%eth0"]),
    (("tcp:5357:interface=198.51.100.5",), {"device_interfaces": ["eth1", "eth9"]}, []),
    (("unix:/run/x",), {}, [])])
def test_the_scanners_side_is_left_out(endpoints, discovery, addresses):
    assert addresses_to_open(config(*endpoints, discovery=discovery), HOST) == addresses


def test_a_given_interface_is_the_only_one():
    assert addresses_to_open(config(escl={"interface": "192.0.2.9"}, discovery=SIDES), HOST) == ["192.0.2.9"]


def test_the_names_of_the_gateway():
    names = host_names(make_config({
        "gateway": {"name": "Scans"}, "listen": [{"endpoint": "tcp:1", "advertise": "http://scan.example.org:5357"}],
        "admin": {"hosts": ["Admin.example"]}}, "g.toml"))
    assert not [name for name in names if name.startswith("wsdgw-")]
    [announced] = [name for name in host_names(config(discovery=SIDES)) if name.startswith("wsdgw-")]
    assert announced.endswith(".local")
    assert names >= {"scans", "scans.local", "scan.example.org", "admin.example", socket.gethostname().lower()}


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "letter.odt").write_text("x")
    with pytest.raises(SpoolUnusable, match=r"letter\.odt"):
        opened(config(folder=tmp_path), Metrics())
    assert (tmp_path / "spool" / "letter.odt").exists()


def test_the_spool_is_counted(tmp_path):
    metrics = Metrics()
    shared = opened(config(folder=tmp_path), metrics)
    shared.room.unfetched = 7
    assert b"\nwsdgateway_spool_bytes 7.0\n" in metrics.render()
    assert b"\nwsdgateway_spool_size_bytes 2.147483648e+09\n" in metrics.render()
    shared.spool.close()
    assert opened(make_config({"listen": [{"endpoint": "tcp:1"}]}, "g.toml"), metrics) is None
