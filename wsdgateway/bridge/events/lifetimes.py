"""Decides when clients' subscriptions end: at their expiry, when the scanner is silent, or by a changed configuration.

WS-Eventing 2004/08, sections 3.1 and 3.4; the configuration's `[events] scanner_silence`. `now` is on the clock that
subscriptions last by; `silence` is the seconds since the scanner has sent anything at all.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions

CHECK_SECONDS = 60.0  # at most between two checks: the scanner may fall silent at any time
MAY_NOT_NOTIFY = "Notifications may not go there any more."
MAY_NOT_LISTEN = "This client may not listen to the scanner any more."


@attrs.frozen
class Ending:
    """A subscription, and the reason for which it ends before its time; None if there is no such reason."""

    subscription: Subscription
    reason: str | None = None


def endings(subscriptions: Subscriptions, *, now: float, silence: float, max_silence: float) -> list[Ending]:
    """The subscriptions that end now: those that have expired, then all others if the scanner is silent too long.

    One that has expired has no reason: its client knows when it ends, and is told nothing.
    """
    ended = [Ending(one) for one in subscriptions.expired(now)]
    if silence >= max_silence:
        reason = f"The scanner has said nothing for {max_silence:g} seconds."
        ended.extend(Ending(one, reason) for one in subscriptions.all() if one.expires_at > now)
    return ended


def seconds_to_next_check(subscriptions: Subscriptions, *, now: float, silence: float,
                          max_silence: float) -> float | None:
    """The seconds until `endings` may find one, at most `CHECK_SECONDS`; None if there are no subscriptions."""
    expiry = subscriptions.next_expiry()
    return None if expiry is None else max(min(expiry - now, max_silence - silence, CHECK_SECONDS), 0.0)


def recheck(subscription: Subscription, *, may_send: Callable[[Sink, str], bool], may_listen: bool) -> Ending:
    """Check what an earlier configuration allowed: the subscription as it goes on, or ends, and the reason if it ends.

    `may_send` tells whether a sink of a client's is allowed, `may_listen` whether the client may subscribe. Without a
    sink for its end the subscription goes on, as its client asked for events in the first place.
    """
    if subscription.end_to is not None and not may_send(subscription.end_to, subscription.client):
        subscription = attrs.evolve(subscription, end_to=None)
    if not may_send(subscription.notify_to, subscription.client):
        return Ending(subscription, MAY_NOT_NOTIFY)
    return Ending(subscription, None if may_listen else MAY_NOT_LISTEN)
