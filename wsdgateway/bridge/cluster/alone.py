"""The limits within which a gateway serves a scanner alone, without the shared server.

Another gateway may serve the scanner at the same time, so that events, the scanner's capacity and its subscribers have
to be shared with one that is not known.
"""

import attrs

MAX_CONNECTIONS = 1
FEWEST_GATEWAYS = 2  # that are assumed to share the scanner
REFUSAL = ("The gateway serves the scanner alone, since its Redis server cannot be reached or has just been replaced,"
           " so for the moment it makes no new subscriptions, and only renews those that exist. Try again in a minute.")

NOT_KNOWN = ("The gateway serves the scanner alone, since its Redis server cannot be reached or has just been replaced,"
             " and does not know whether this subscription exists. Try again in a minute.")


@attrs.frozen
class Alone:
    """A scanner is served alone. It is made for the whole of that time, in place of None.

    `gateways` is the number of gateways among which the rate of requests is divided. `is_owner` is true for the last
    owner, which goes on with what it knows of the scanner; else nothing is known of the scanner, and clients are not
    told of it by discovery.
    """

    gateways: int
    is_owner: bool

    @classmethod
    def among(cls, known: int, *, is_owner: bool) -> "Alone":
        """The limits if so many gateways, this one included, were registered when the server last answered."""
        return cls(max(FEWEST_GATEWAYS, known), is_owner)
