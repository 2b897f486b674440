"""Tables of subscriptions for tests."""

from wsdgateway.bridge.events.subscriptions import Subscriptions
from wsdgateway.scan.destinations import Destinations

DESTINATIONS = Destinations("<d/>", (("ctx", "Name"),))


def holding(*subscriptions, limit=10):
    """Returns a table with these subscriptions."""
    table = Subscriptions(limit)
    for one in subscriptions:
        table.put(one)
    return table
