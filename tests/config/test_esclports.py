"""Tests of config.esclports: the section [escl], the ports of scanners, and the certificate."""

from pathlib import Path

import pytest

from tests.config.configurations import LISTEN, problems
from wsdgateway.config.changes import compare
from wsdgateway.config.esclports import reserved_ports
from wsdgateway.config.reading import make_config
from wsdgateway.config.remarks import remarks

ON = {"announce": False}


def scanner(name, **more):
    return {"name": name, "scan": f"http://192.0.2.1/{name}", **more}


def config(*scanners, escl=ON, **sections):
    return make_config({"listen": [LISTEN], "scanner": list(scanners), **({} if escl is None else {"escl": escl}),
                        **sections}, "g.toml")


def test_defaults():
    escl = config().escl
    assert (escl.ports, escl.interface, escl.spool, escl.spool_size) == (range(8400, 8500), "", None, 2147483648)
    assert config(escl={}).escl.announce
    assert config(escl=None).escl is None


@pytest.mark.parametrize(("escl", "said"), [
    ({"announce": "yes"}, "[escl] announce = \"yes\": must be true or false"),
    ({**ON, "certificate": "a.pem"}, "[escl] certificate = \"a.pem\": must be a file that can be read"),
    ({**ON, "key": "server.key"}, "[escl] key = \"server.key\": must be left out, because it is valid only together "),
    ({**ON, "ports": "8499-8400"}, "[escl] ports = \"8499-8400\": must be a range of ports between 1 and 65535"),
    ({**ON, "ports": "0-5"}, "must be a range of ports"), ({**ON, "ports": "8400-65536"}, "must be a range of ports"),
    ({**ON, "ports": 8400}, "must be a range of ports"),
    ({**ON, "interface": "eth0"}, "[escl] interface = \"eth0\": must be an IP address of this host"),
    ({**ON, "spool_size": 1000}, "[escl] spool_size = 1000: must be a whole number between 1048576 and "),
    ({**ON, "spool": ""}, "[escl] spool = \"\": must be a non-empty text"),
])
def test_a_wrong_value(escl, said):
    [line] = problems(escl=escl)
    assert said in line


@pytest.mark.parametrize(("scanners", "escl", "said"), [
    ([scanner("a", escl_port=9000), scanner("b", escl_port=9000)], ON,
     "[[scanner]] b escl_port = 9000: must be unique: [[scanner]] a has the same port"),
    ([scanner("a", escl_port=5357)], ON, "[[scanner]] a escl_port = 5357: must be a port that no [[listen]]"),
    ([scanner("a", escl_port=8357)], ON, "[[scanner]] a escl_port = 8357: must be a port that no [[listen]]"),
    ([scanner("a"), scanner("b")], {**ON, "ports": "8400"},
     "[escl] ports = \"8400-8400\": must be a range with at least 2 free port(s), one for each scanner; it has 1"),
    ([scanner("a"), scanner("b", escl_port=8400)], {**ON, "ports": "8400-8400"}, "at least 1 free port(s)"),
    ([scanner("a")], {**ON, "ports": "5357"}, "at least 1 free port(s)"),
    ([scanner("a", escl_port=0)], ON, "[[scanner]] a escl_port = 0: must be a whole number between 1 and 65535"),
    ([scanner("a", escl="no")], ON, "[[scanner]] a escl = \"no\": must be true or false"),
])
def test_ports_that_cannot_be_used(scanners, escl, said):
    [line] = problems(escl=escl, scanner=scanners)
    assert said in line


def test_a_range_must_have_ports_with_tls_too(certified):
    files = {"certificate": str(certified.pem), "key": str(certified.key)}
    scanners = [scanner("a", escl_port=9000), scanner("b"), scanner("c", escl=False)]
    [line] = problems(escl={**ON, "ports": "8400-8401", **files}, scanner=scanners)
    assert "at least 3 free port(s), one for each scanner and another one for TLS; it has 2" in line
    assert config(*scanners, escl={**ON, "ports": "8400-8402", **files}).escl.key == files["key"]


def test_the_files_of_the_certificate_may_change_at_a_reload(certified):
    files = {"certificate": str(certified.pem), "key": str(certified.key)}
    both = {"certificate": f"{certified.pem.parent}/../{certified.pem.parent.name}/server.pem", "key": files["key"]}
    changes = compare(config(escl={**ON, **files}), config(escl={**ON, **both}))
    assert (changes.later, changes.config.escl.certificate) == ((), both["certificate"])
    changes = compare(config(), config(escl={**ON, **files}))
    assert changes.later[0] == "[escl] certificate has changed; this takes effect after a restart"
    assert changes.config.escl.certificate is None


def test_scanners_without_escl_need_no_port():
    found = config(scanner("a", escl=False), scanner("b"), scanner("c", bridge=False), scanner("d", escl_port=9000),
                   escl={**ON, "ports": "8400"})
    assert found.escl.ports == range(8400, 8401)


def test_the_ports_of_other_listeners_are_reserved():
    assert reserved_ports(config()) == {5357, 8357}


@pytest.mark.parametrize(("state", "folder"), [
    ("sqlite:gateway.sqlite", "spool"), ("sqlite:/var/lib/w/g.sqlite", "/var/lib/w/spool"), ("memory:", "spool")])
def test_the_spool_is_beside_the_store(state, folder):
    found = config(gateway={"state": state})
    assert found.spool == found.folder / folder
    assert config(escl={**ON, "spool": "/srv/pages"}).spool == Path("/srv/pages")


def test_settings_that_have_no_effect_or_hide_a_scanner_are_remarked():
    [line] = [one.text for one in remarks(config(scanner("a", escl_port=9000), escl=None)) if "escl" in one.text]
    assert line == "[[scanner]] a: escl_port has no effect without an [escl] section"
    both, announced = (scanner("a", escl=False), scanner("b")), {"discovery": {"client_interfaces": ["eth0"]}}
    [line] = [one.text for one in remarks(config(*both, escl={}, **announced)) if "escl" in one.text]
    assert line.startswith("[[scanner]] a: escl = false: sane-airscan hides a WSD scanner")
    for hides_none in (config(both[0], escl={}, **announced), config(*both, escl={}), config(*both, **announced)):
        assert not [one for one in remarks(hides_none) if "escl" in one.text]


@pytest.mark.parametrize(("before", "after", "said"), [
    (None, ON, "[escl] has been added; this takes effect after a restart"),
    (ON, None, "[escl] has been removed; this takes effect after a restart"),
    (ON, {**ON, "ports": "9000-9099"}, "[escl] ports has changed; this takes effect after a restart")])
def test_a_changed_section_needs_a_restart(before, after, said):
    old = config(escl=before)
    changes = compare(old, config(escl=after))
    assert changes.later == (said,)
    assert changes.config.escl == old.escl


def test_announcement_is_switched_at_a_reload():
    changes = compare(config(), config(escl={"announce": True}))
    assert (changes.later, changes.config.escl.announce, changes.sections) == ((), True, ("escl",))
