"""Decides when clients' subscriptions end: by expiry, silence of the scanner, or a changed configuration.

WS-Eventing 2004/08, sections 3.1 and 3.4; the configuration's `[events] scanner_silence`. `now` is on the clock for the
duration of subscriptions; `silence` is the number of seconds since the last message from the scanner.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions

CHECK_SECONDS = 60.0  # maximum between two checks: the scanner may fall silent at any time
MAY_NOT_NOTIFY = "Notifications to this address are no longer allowed."
MAY_NOT_LISTEN = "This client is no longer allowed to subscribe to the scanner."


@attrs.frozen
class Ending:
    """A subscription, and the reason why it ends early; None if there is no such reason."""

    subscription: Subscription
    reason: str | None = None


def endings(subscriptions: Subscriptions, *, now: float, silence: float, max_silence: float) -> list[Ending]:
    """Returns the subscriptions that end now: expired ones, then all others if the scanner is silent too long.

    An expired subscription has no reason: its client knows the expiry time, and is sent no message.
    """
    ended = [Ending(one) for one in subscriptions.expired(now)]
    if silence >= max_silence:
        reason = f"The scanner has not responded for {max_silence:g} s."
        ended.extend(Ending(one, reason) for one in subscriptions.all() if one.expires_at > now)
    return ended


def seconds_to_next_check(subscriptions: Subscriptions, *, now: float, silence: float,
                          max_silence: float) -> float | None:
    """Returns the seconds until `endings` may find one, at most `CHECK_SECONDS`; None if there are no subscriptions."""
    expiry = subscriptions.next_expiry()
    return None if expiry is None else max(min(expiry - now, max_silence - silence, CHECK_SECONDS), 0.0)


def recheck(subscription: Subscription, *, may_send: Callable[[Sink, str], bool], may_listen: bool) -> Ending:
    """Checks a subscription against the current configuration; returns its new version, and a reason if it has to end.

    `may_send` is True if a client's sink is allowed, `may_listen` if the client may subscribe. If only the sink for
    SubscriptionEnd is no longer allowed, the subscription continues without it, because the client mainly wants events.
    """
    if subscription.end_to is not None and not may_send(subscription.end_to, subscription.client):
        subscription = attrs.evolve(subscription, end_to=None)
    if not may_send(subscription.notify_to, subscription.client):
        return Ending(subscription, MAY_NOT_NOTIFY)
    return Ending(subscription, None if may_listen else MAY_NOT_LISTEN)
