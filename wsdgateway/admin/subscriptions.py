"""Describes the subscriptions of a scanner for the admin site: the gateway's own at it, and those of its clients."""

from collections.abc import Iterable
from typing import Any

from wsdgateway.admin.cluster import time_text
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.bridgedscanner import BridgedScanner


def describe_subscriptions(scanner: BridgedScanner) -> Iterable[dict[str, Any]]:
    """Describe the subscriptions of one scanner; see `Overview.describe_subscriptions`."""
    own = scanner.subscriptions.own
    if own is not None and own.listening:
        yield _own(own.held, scanner.subscription_state)
    for held, entries, state in [] if scanner.destinations is None else scanner.destinations.registration.held:
        yield {**_own(held, state), "events": [SCAN_AVAILABLE_ACTION], "panel": state, "destinations": [
            {"context": entry.context, "name": entry.name} for entry in entries]}
    for one in scanner.bridge.subscriptions.all():
        waiting, failures = scanner.subscribers.notifier.state(one.identifier)
        yield {"scanner": scanner.name, "side": "client", "id": one.identifier, "client": one.client,
               "notify_to": one.notify_to.reference.address,
               "end_to": None if one.end_to is None else one.end_to.reference.address,
               "events": None if one.filter.wanted is None else list(one.filter.wanted),
               "expires": time_text(scanner.source.now.on_wall(one.expires_at)),
               "state": "unreachable" if failures else "ok", "waiting": waiting,
               "failures": failures, "panel": scanner.subscriptions.panel.state(one.identifier),
               "destinations": [] if one.destinations is None else [
                   {"context": context, "name": name} for context, name in one.destinations.listed]}


def _own(held: Held, state: str) -> dict[str, Any]:
    """Describe a subscription of the gateway's own at a scanner; the end of its address is a secret."""
    return {"scanner": held.scanner, "side": "device", "id": None, "client": None,
            "notify_to": held.notify_to.rpartition("/")[0] + "/…", "end_to": None, "events": None,
            "expires": time_text(held.expires_at), "state": state, "waiting": 0, "failures": 0, "panel": None,
            "destinations": []}
