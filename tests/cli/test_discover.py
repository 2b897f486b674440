"""`wsdgateway discover`: the messages about a search and about its result."""

from io import StringIO

import pytest
from rich.console import Console

from wsdgateway.cli.discover import describe_search, show


@pytest.mark.parametrize(("interfaces", "addresses", "line"), [
    (("eth0", "eth1"), (), "searching on eth0, eth1 for 5 s"),
    ((), ("http://192.0.2.9",), "querying http://192.0.2.9 for 5 s"),
    (("eth0",), ("http://192.0.2.9",), "searching on eth0 and querying http://192.0.2.9 for 5 s"),
    ((), (), "nothing to search: there is no network interface except loopback")])
def test_interfaces_are_searched_and_addresses_are_queried(interfaces, addresses, line):
    assert describe_search(interfaces, addresses, 5.0) == line


def test_the_message_about_no_scanner_is_one_line():
    written = StringIO()
    show([], toml=False, console=Console(file=StringIO()), progress=Console(file=written, width=40))
    assert written.getvalue() == (
        "No scanner was found. To query a scanner that ignores multicast, use --address ADDRESS\n")
