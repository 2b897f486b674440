"""The commands for a subscription at a scanner, and its stored form.

WS-Eventing 2004/08, sections 3.1, 3.2 and 3.4. `bridge.events.upstream` returns the commands;
`net.events.devicesubscription` executes them.
"""

import attrs

from wsdgateway.soap.addressing import EndpointReference


@attrs.frozen
class Subscribe:
    """Subscribe to these events."""

    actions: tuple[str, ...]


@attrs.frozen
class Renew:
    """Ask the manager for more time."""

    manager: EndpointReference


@attrs.frozen
class Replace:
    """Ask the manager to end the subscription, and report the outcome by `unsubscribed`."""

    manager: EndpointReference


@attrs.frozen
class Unsubscribe:
    """Ask the manager to end the subscription, and send nothing more."""

    manager: EndpointReference


@attrs.frozen
class Wake:
    """Call `due` after this many seconds; replaces an earlier `Wake`, or with `sooner` only a later one."""

    after: float
    sooner: bool = False


@attrs.frozen
class Lost:
    """The subscription is gone; `forgotten`: the device no longer knows it, and may have restarted."""

    forgotten: bool = True


Command = Subscribe | Renew | Replace | Unsubscribe | Wake | Lost


@attrs.frozen
class Shown:
    """A name of the gateway's own on the panel, and the scanner's DestinationToken for it; None if it gave none."""

    context: str
    name: str
    token: str | None


@attrs.frozen
class Held:
    """A subscription at a scanner as the store keeps it across restarts.

    `identifier` is the client's subscription that it is held for, empty for the gateway's own; `address` is that of the
    scan service, `notify_to` the address for notifications. `expires_at` is in seconds since 1970. `shown` are the
    gateway's own destinations that it registers, without those of a subscription that is being replaced.
    """

    scanner: str
    identifier: str
    address: str
    notify_to: str
    manager: EndpointReference
    expires_at: float
    shown: tuple[Shown, ...] = ()


@attrs.frozen
class LeftBehind:
    """A subscription that a scanner still holds for this gateway, which has stopped bridging the scanner.

    `era` is that of the shared server in which it has listed the subscription, None if it is not known to have.
    """

    held: Held
    era: int | None = None
