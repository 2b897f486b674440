"""Tests of bridge.frontends.escl.ports: each scanner keeps the port that it once got."""

from wsdgateway.bridge.frontends.escl.ports import Place, assign_ports


def assign(names, *, fixed=(), stored=(), ports=range(1, 4), reserved=()):
    given = assign_ports(map(Place, names), {Place(name): port for name, port in dict(fixed).items()}, dict(stored),
                         ports, reserved)
    return {place.scanner: port for place, port in given.items()}


def test_ports_are_given_in_the_order_of_the_range():
    assert assign(["a", "b"]) == {"a": 1, "b": 2}
    assert assign(["a", "b"], reserved={1}) == {"a": 2, "b": 3}


def test_a_stored_port_is_kept_while_it_can_be():
    assert assign(["a", "b"], stored={"b": 1}) == {"a": 2, "b": 1}
    assert assign(["a"], stored={"a": 9}) == {"a": 1}
    assert assign(["a"], stored={"a": 1}, reserved={1}) == {"a": 2}
    assert assign(["a", "b"], stored={"a": 1}, fixed={"b": 1}) == {"a": 2, "b": 1}


def test_a_fixed_port_may_be_outside_the_range():
    assert assign(["a", "b"], fixed={"a": 99}, stored={"a": 1}) == {"a": 99, "b": 2}
    assert assign(["b"], fixed={"a": 99}) == {"b": 1}


def test_ports_of_former_scanners_come_last():
    assert assign(["c", "d"], stored={"a": 1, "b": 2}) == {"c": 3, "d": 1}


def test_a_scanner_for_which_no_port_is_left_gets_none():
    assert assign(["a", "b", "c", "d"], stored={"d": 2}) == {"a": 1, "b": 3, "d": 2}


def test_ports_with_tls_are_kept_beside_the_others():
    places = [Place("a"), Place("b"), Place("a", secure=True), Place("b", secure=True)]
    first = assign_ports(places, {Place("b"): 99}, {}, range(1, 5), ())
    assert first == {Place("a"): 1, Place("b"): 99, Place("a", secure=True): 2, Place("b", secure=True): 3}
    stored = {place.key: port for place, port in first.items()}
    assert stored == {"a": 1, "b": 99, "a tls": 2, "b tls": 3}
    assert assign_ports(places[::-1], {Place("b"): 99}, stored, range(1, 5), ()) == first
    assert Place("b", secure=True) not in assign_ports(places, {}, {}, range(1, 4), ())
