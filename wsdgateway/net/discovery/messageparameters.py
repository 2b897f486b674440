"""The parameters that all discovery messages of this gateway share."""

from collections.abc import Callable

import attrs


@attrs.frozen(eq=False)
class MessageParameters:
    """Sources of message ids and of random numbers from 0 to 1; announcements per second on a link."""

    new_id: Callable[[], str]
    random: Callable[[], float]
    announce_rate: float
