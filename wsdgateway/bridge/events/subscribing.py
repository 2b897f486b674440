"""Decides about clients' Subscribe and Renew: what is requested, how long it lasts, and which subscription it replaces.

WS-Eventing 2004/08, sections 3.1 and 3.2; WS-Scan, ScanDestinations. A client requests a duration or a point in time,
and is answered in the same form: points in time are on the wall clock, which may be set. The duration of subscriptions
is measured on a clock unaffected by changes to the system time, so both are converted to seconds from now.
"""

from datetime import datetime

import attrs

from wsdgateway.bridge.events.sinks import BadSink, parse_sink, sink_refused
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION, URN, Subscription, Subscriptions
from wsdgateway.eventing.faults import invalid_message, unable_to_process
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.eventing.source import Lifetime, read_subscribe
from wsdgateway.scan.destinations import MAX_DESTINATIONS, MAX_XML, Destinations, read_destinations
from wsdgateway.scan.operations import EVENT_SPELLINGS, JOB_END_STATE, JOB_STATUS, SCANNER_STATUS_SUMMARY, action_of
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.fragments import fits

MADE_EVENTS = (JOB_STATUS, JOB_END_STATE, SCANNER_STATUS_SUMMARY)  # by the gateway for a scanner without events
UNKNOWN = invalid_message(
    "The subscription does not exist, or has ended; send a new Subscribe to the scan service.")
FULL = unable_to_process("The limit of subscribers of this scanner is reached; end subscriptions that are not "
                         "needed, or raise [events] max_subscriptions of the gateway.")
TOO_MANY_NAMES = invalid_message(f"A Subscribe may contain at most {MAX_DESTINATIONS} ScanDestinations; send fewer.")


@attrs.frozen
class Unavailable:
    """The reason why a scanner's events are not available to clients; `made` are the events that the gateway makes."""

    reason: str
    made: tuple[str, ...] = ()


def events_unavailable(*, is_subscribed_to: bool, silence: float, max_silence: float, is_refused: bool,
                       synthesizes: bool) -> Unavailable | None:
    """Returns why a scanner's events are not available to clients, or None.

    `silence` is the number of seconds for which the scanner has not answered, `max_silence` the accepted maximum;
    `is_refused`: it has refused the gateway's own subscription; `synthesizes`: the gateway makes events instead.
    """
    if silence >= max_silence and (is_subscribed_to or synthesizes):
        return Unavailable(f"The scanner has not responded for {silence:.0f} s; switch it on, and subscribe again.")
    if is_subscribed_to and not is_refused:
        return None
    why = ("The scanner does not provide events" if is_subscribed_to else
           'The gateway does not use events of this scanner (events = "off")')
    if synthesizes:
        return Unavailable(f"{why}; name one of {', '.join(MADE_EVENTS)} in the Filter, which the gateway makes.",
                           tuple(map(action_of, MADE_EVENTS)))
    return Unavailable(f"{why}; ask for job statuses with GetJobElements, or set [events] synthesize = true on the "
                       "gateway.")


@attrs.frozen
class Wanted:
    """A client's requests in a Subscribe. `panel`: it includes ScanAvailableEvent, with `destinations` as the names."""

    notify_to: EndpointReference
    end_to: EndpointReference | None
    filter: ActionFilter
    lifetime: Lifetime
    panel: bool
    destinations: Destinations | None


def read_wanted(envelope: Envelope, now: datetime, *, unavailable: Unavailable | None, has_panel: bool) -> Wanted:
    """Reads a client's requests in a Subscribe. Raises `Refused`. `now` is the time on the wall clock.

    `unavailable` is the reason why the scanner has no events, or None; even then, clients can subscribe to those that
    the gateway makes, and register for its panel if it `has_panel`. Whether the gateway may notify the sinks is not
    decided here, because that may take a name look-up.
    """
    request = read_subscribe(envelope, now, EVENT_SPELLINGS)
    assert envelope.body is not None
    destinations = read_destinations(envelope.body)
    if destinations is not None and (
            len(destinations.listed) > MAX_DESTINATIONS or not fits(destinations.xml, MAX_XML)):
        raise Refused(TOO_MANY_NAMES)
    panel = destinations is not None or request.filter.names(SCAN_AVAILABLE_ACTION)
    if unavailable is not None and not (has_panel if panel else any(map(request.filter.matches, unavailable.made))):
        raise Refused(unable_to_process(unavailable.reason))
    for name, reference in (("NotifyTo", request.notify_to), ("EndTo", request.end_to)):
        try:
            if reference is not None:
                parse_sink(reference.address)
        except BadSink as bad:
            raise sink_refused(name, bad) from None
    return Wanted(request.notify_to, request.end_to, request.filter, request.lifetime, panel, destinations)


def granted_seconds(lifetime: Lifetime, ceiling: float) -> float:
    """Returns the granted duration of a subscription in seconds: as requested, at most `ceiling`."""
    return ceiling if lifetime.seconds is None else min(lifetime.seconds, ceiling)


def renewed(subscription: Subscription, lifetime: Lifetime, *, ceiling: float, now: float) -> Subscription:
    """Returns the subscription with the expiry time granted by a Renew.

    `now` is on the clock for the duration of subscriptions.
    """
    return attrs.evolve(subscription, expires_at=now + granted_seconds(lifetime, ceiling))


def find_named(subscriptions: Subscriptions, named: str | None, now: float) -> Subscription:
    """Returns the live subscription that a request names by its URN or its bare identifier. Raises `Refused`."""
    found = subscriptions.find((named or "").removeprefix(URN), now)
    if found is None:
        raise Refused(UNKNOWN)
    return found


def makes_room(subscriptions: Subscriptions) -> Subscription | None:
    """Returns the subscription that must end to make room for another one; None if there is room. Raises `Refused`.

    A client that keeps subscribing without unsubscribing must not keep others out: the oldest subscription that its
    client has repeated since ends. No other subscription is ended to make room.
    """
    if not subscriptions.full:
        return None
    superseded = subscriptions.superseded()
    if superseded is None:
        raise Refused(FULL)
    return superseded


@attrs.frozen
class Succession:
    """The subscription that replaces another one at the scanner, and what is left of the other, if anything."""

    heir: Subscription
    left: Subscription | None


def succession(former: Subscription, subscription: Subscription) -> Succession:
    """Decides about a repeated registration of the same names by the same client for the same sink.

    The new subscription gets the tokens of the former one. Asking the scanner again would make another entry on its
    panel, and invalidate the client's tokens. The former one keeps its purposes other than the panel; if there are
    none, it ends.
    """
    heir = attrs.evolve(subscription, tokens=former.tokens)
    if heir.filter == former.filter:
        return Succession(heir, None)
    return Succession(heir, attrs.evolve(former, panel=False, destinations=None, tokens=()))
