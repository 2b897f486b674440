"""The parameters that all discovery messages of this gateway share."""

from collections.abc import Callable

import attrs

from wsdgateway.discovery.messages import Sequence


@attrs.frozen(eq=False)
class MessageParameters:
    """Sources of message ids, AppSequences and random numbers from 0 to 1; announcements per second on a link."""

    new_id: Callable[[], str]
    sequence: Callable[[], Sequence]
    random: Callable[[], float]
    announce_rate: float
