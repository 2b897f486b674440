"""The commands for a subscription at a scanner, and what the store keeps of it.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4. `bridge.events.upstream` gives the commands;
`net.events.devicesubscription` carries them out.
"""

import attrs

from wsdgateway.soap.addressing import EndpointReference


@attrs.frozen
class Subscribe:
    """Ask for these events."""

    actions: tuple[str, ...]


@attrs.frozen
class Renew:
    """Ask the manager for more time."""

    manager: EndpointReference


@attrs.frozen
class Replace:
    """Tell the manager that the subscription ends, and call `unsubscribed` with what came of it."""

    manager: EndpointReference


@attrs.frozen
class Unsubscribe:
    """Tell the manager that the subscription ends, and send nothing more."""

    manager: EndpointReference


@attrs.frozen
class Wake:
    """Call `due` after so many seconds; replaces an earlier one, with `sooner` only one that would come later."""

    after: float
    sooner: bool = False


@attrs.frozen
class Lost:
    """The subscription is gone; `forgotten`: the device does not know it any more, and may have started again."""

    forgotten: bool = True


Command = Subscribe | Renew | Replace | Unsubscribe | Wake | Lost


@attrs.frozen
class Held:
    """A subscription at a scanner as the store keeps it over a restart.

    `identifier` is the client's subscription that it is held for, empty for the gateway's own; `address` is the scan
    service's, `notify_to` where it notifies us. `expires_at` in seconds since 1970.
    """

    scanner: str
    identifier: str
    address: str
    notify_to: str
    manager: EndpointReference
    expires_at: float
