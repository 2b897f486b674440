"""The values that gateways on one Redis exchange: registrations, owners, and the view that each tick returns.

Times on a gateway are seconds of its boot clock (CLOCK_BOOTTIME), which also counts while the process or the host is
stopped. Times at the server are its seconds since 1970.
"""

from collections.abc import Mapping

import attrs

NO_TOKEN = 0
CLAIM = -1  # in place of a token: the gateway is about to serve a scanner without ever having owned it
MAX_BASES = 16


def is_text(value: object) -> bool:
    """True for a text that can be written in UTF-8; one that was read from JSON may have half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@attrs.frozen
class Registration:
    """A gateway as it is registered, for one run of its process.

    `identifier` is drawn at each start; `name` is that of `[cluster] name`. `address` is the URL of its peer link,
    empty without one. `sections` holds the names of the scanners that it is configured for, each with the digest of its
    section. It has tried to reach those in `unreachable`, and failed. `holds_address` is true while the address at
    which scanners notify the gateways, if they share one, is on this host. It goes on serving the scanners in `alone`
    without a lease, because the server could not be reached, each by the token of the ownership that it had, or
    `NO_TOKEN` if it had none. `bases` are the base URLs at which its clients reach it, at most `MAX_BASES`, without
    those that all gateways share. `lease` is `[cluster] lease`, in seconds; 0 if its version does not tell it.
    """

    identifier: str
    name: str
    address: str
    version: str
    sections: Mapping[str, str] = attrs.field(factory=dict)
    unreachable: frozenset[str] = frozenset()
    holds_address: bool = False
    alone: Mapping[str, int] = attrs.field(factory=dict)
    bases: tuple[str, ...] = ()
    lease: float = 0.0


@attrs.frozen
class Owner:
    """The owner of a scanner: its fencing token, the identifier of the gateway, the rest of its lease in seconds."""

    token: int
    identifier: str
    remaining: float


@attrs.frozen
class View:
    """The answer to a tick, as it was at the server when it was written.

    `time` is the server's. `era` counts the restarts and failovers of the server; `grace` is what is left of the time
    after one, in seconds, in which only an owner whose own lease clock still runs gets its lease back, else 0.
    `gateways` are the registered ones, this one included. `owners` has the scanners that are owned in this era. The
    leases of the scanners in `renewed` have been renewed by this tick. `wishes` maps scanners to the name of the
    gateway that shall own it.
    """

    time: float
    era: int
    grace: float
    gateways: tuple[Registration, ...]
    owners: Mapping[str, Owner]
    renewed: frozenset[str]
    wishes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Acquired:
    """The scanner is owned from now on, by this token. `time` is the server's."""

    token: int
    time: float


@attrs.frozen
class Refused:
    """The scanner was not acquired: `owner` has it, or, if that is None, the grace lasts `grace` more seconds."""

    owner: Owner | None
    grace: float
    time: float


@attrs.frozen
class Serving:
    """The scanners that a gateway serves, or is about to, each by its token, or what stands for it (`alone_token`)."""

    gateway: Registration
    tokens: Mapping[str, int]
