"""Tests of app.startlines: the lines at the start, and the URLs of ports that are open on one or all addresses."""

from ipaddress import ip_interface

import attrs
import pytest

from wsdgateway.app import listeners, startlines
from wsdgateway.app.startlines import StartLines
from wsdgateway.config.reading import make_config
from wsdgateway.net.transport.interfaces import Interface


class Port:
    """A listener that a test opens."""

    def __init__(self, endpoint, address, identity=None):
        self.endpoint, self.address, self.identity = endpoint, address, identity
        self.tried, self.port = False, None

    def open(self):
        self.tried, self.port = True, self

    def fail(self):
        self.tried = True


class Ports(listeners.Listeners):
    """The listeners of a configuration, with ports that a test opens."""

    def __init__(self, config, ports, admin):
        self._config, self.listeners, self.admin = config, ports, admin


@pytest.fixture
def start(said, tmp_path):
    """Makes the lines of a configuration; the test opens the ports: `start(ports, names, **sections)`."""

    def make(ports, names=("front-desk",), admin=("127.0.0.1", 8357), **sections):
        config = make_config({
            "gateway": {"state": "memory:"}, "admin": {"endpoint": "tcp:8357:interface=127.0.0.1"},
            "listen": [{"endpoint": port.endpoint} for port in ports], **sections}, str(tmp_path / "g.toml"))
        made = Ports(config, ports, Port("tcp:8357:interface=127.0.0.1", admin))
        lines = StartLines(config, "1.2.3", made, lambda: names)
        lines.ports = made
        return lines

    return make


@pytest.fixture
def hosts(monkeypatch):
    """Gives this host the addresses `hosts(*addresses with prefix)`, besides those of loopback."""

    def give(*addresses):
        every = {"lo": ("127.0.0.1/8", "::1/128"), "eth0": addresses}
        monkeypatch.setattr(listeners, "read_interfaces", lambda: {name: Interface(
            name, 1, tuple(map(ip_interface, given))) for name, given in every.items()})

    return give


def opened(lines):
    for port in (*lines.ports.listeners, lines.ports.admin):
        port.open()
        lines.tried()


def test_version_configuration_state_and_urls(start, said, tmp_path):
    opened(start([Port("tcp:5357:interface=192.0.2.5", ("192.0.2.5", 5357))]))
    assert said == [f"wsdgateway 1.2.3, configuration: {tmp_path}/g.toml, state: in memory only",
                    "Clients: http://192.0.2.5:5357/front-desk/scan", "Admin site: http://127.0.0.1:8357/"]


def test_the_store_is_given_with_its_whole_path(start, said, tmp_path):
    opened(start([], listen=[{"endpoint": "tcp:1"}], gateway={"state": "sqlite:a/g.sqlite"}))
    assert said[0].endswith(f", state: sqlite:{tmp_path}/a/g.sqlite")


def test_nothing_is_logged_before_every_port_has_been_tried(start, said):
    first, second = (Port(f"tcp:{number}", ("192.0.2.5", number)) for number in (5357, 5358))
    lines = start([first, second])
    first.open()
    lines.tried()
    lines.ports.admin.open()
    lines.tried()
    assert said == []
    second.fail()  # the listener logs why
    lines.tried()
    assert said[1:] == ["Clients: http://192.0.2.5:5357/front-desk/scan", "Admin site: http://127.0.0.1:8357/"]
    second.open()
    lines.tried()
    assert said[3:] == ["Clients: http://192.0.2.5:5358/front-desk/scan"]
    lines.tried()
    assert len(said) == 4


@pytest.mark.parametrize(("names", "expected"), [
    ((), "Clients: http://192.0.2.5:5357/NAME/scan"),
    (("a", "b"), "Clients: http://192.0.2.5:5357/NAME/scan (NAME: a, b)"),
    ([f"s{number}" for number in range(14)],
     "Clients: http://192.0.2.5:5357/NAME/scan (NAME: s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 4 more)")])
def test_scanners_are_listed_once_for_each_listener(start, said, names, expected):
    opened(start([Port("tcp:5357:interface=192.0.2.5", ("192.0.2.5", 5357))], names))
    assert said[1] == expected


def test_an_address_that_is_advertised_and_tls(start, said):
    advertised, secure = Port("tcp:1", ("192.0.2.5", 5357)), Port("tcp:2", ("192.0.2.5", 5358), identity="any")
    opened(start([advertised, secure], listen=[
        {"endpoint": "tcp:1", "advertise": "http://scan.example.org:80"}, {"endpoint": "tcp:2"}]))
    assert said[1:3] == ["Clients: http://scan.example.org:80/front-desk/scan",
                         "Clients: https://192.0.2.5:5358/front-desk/scan"]


@pytest.mark.parametrize(("interface", "addresses", "expected"), [
    ("0.0.0.0", ("192.0.2.5/24", "198.51.100.5/24", "169.254.1.1/16", "2001:db8::5/64"),
     ["http://192.0.2.5:5357", "http://198.51.100.5:5357"]),
    ("::", ("192.0.2.5/24", "2001:db8::5/64", "fe80::5/64"), ["http://192.0.2.5:5357", "http://[2001:db8::5]:5357"]),
    ("0.0.0.0", (), ["http://127.0.0.1:5357"]),
    ("0.0.0.0", [f"192.0.2.{number}/24" for number in range(1, 20)],
     [f"http://192.0.2.{number}:5357" for number in range(1, listeners.MAX_URLS + 1)])])
def test_a_port_on_every_address_has_a_url_for_each(start, hosts, interface, addresses, expected):
    hosts(*addresses)
    lines = start([Port("tcp:5357", (interface, 5357))])
    [port] = lines.ports.listeners
    assert lines.ports.urls(port) == []
    port.open()
    assert lines.ports.urls(port) == expected


def test_addresses_that_cannot_be_read_are_reported(start, said, monkeypatch):
    def fail():
        raise OSError("no netlink")

    monkeypatch.setattr(listeners, "read_interfaces", fail)
    opened(start([Port("tcp:5357", ("0.0.0.0", 5357))]))
    assert said[1] == "tcp:5357: its URLs are not known, because the addresses of this host cannot be read: no netlink"


def test_a_local_socket_has_its_endpoint(start):
    lines = start([Port("unix:/run/x", None)])
    [port] = lines.ports.listeners
    port.open()
    assert lines.ports.urls(port) == ["unix:/run/x"]


def test_a_password_is_not_logged():
    config = make_config({"listen": [{"endpoint": "tcp:1"}]}, "g.toml")
    gateway = attrs.evolve(config.gateway, state="redis://user:secret@h:6379/0")
    assert startlines.state_of(attrs.evolve(config, gateway=gateway)) == "redis://…@h:6379/0"
