"""`wsdgateway discover`: the line that says what is searched."""

import pytest

from wsdgateway.cli.discover import describe_search


@pytest.mark.parametrize(("interfaces", "addresses", "line"), [
    (("eth0", "eth1"), (), "searching on eth0, eth1 for 5 s"),
    ((), ("http://192.0.2.9",), "querying http://192.0.2.9 for 5 s"),
    (("eth0",), ("http://192.0.2.9",), "searching on eth0 and querying http://192.0.2.9 for 5 s"),
    ((), (), "nothing to search: there is no network interface except loopback")])
def test_interfaces_are_searched_and_addresses_are_queried(interfaces, addresses, line):
    assert describe_search(interfaces, addresses, 5.0) == line
