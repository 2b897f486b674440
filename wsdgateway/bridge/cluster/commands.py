"""The commands of the ownership machine, which `net.cluster` carries out."""

import enum

import attrs


class Why(enum.Enum):
    """Why an ownership ends."""

    LOST = "lost"  # another gateway may own the scanner already
    HANDED_OVER = "handed over"  # to another gateway, which takes it as soon as it is released
    STOPPED = "stopped"  # the last gateway stops, or the scanner is configured no more


@attrs.frozen
class Acquire:
    """Ask the server for the scanner.

    If the lease of an ownership still runs (`still_valid`), `mine` is its token; else the largest token that is known.
    """

    mine: int
    still_valid: bool


@attrs.frozen
class Release:
    """Tell the server that the ownership by this token has ended.

    `wish` is the name of the gateway for which it was given up, else empty: it is wished for once more, because the
    first wish may have ended while requests ran.
    """

    token: int
    wish: str = ""


@attrs.frozen
class Begin:
    """Serve the scanner, as after a restart of the gateway.

    `alone`: without the server, so that nothing is known of the scanner.
    """

    alone: bool = False


@attrs.frozen
class Regained:
    """Go on serving the scanner by a new token. The server may have lost what was written before."""


@attrs.frozen
class End:
    """Stop serving the scanner, and report when that is done."""

    why: Why


@attrs.frozen
class Try:
    """Report `due` at this boot time; another `Try`, or any later report to the machine, replaces it."""

    at: float


@attrs.frozen
class Check:
    """Send a tick now."""


Command = Acquire | Release | Begin | Regained | End | Try | Check
