"""Recognises the kind of an eSCL client by its headers: how long it waits for a page, and its words for a feeder."""

from enum import Enum

from wsdgateway.escl.scannerstatus import ADF_DOOR_OPEN, ADF_HATCH_OPEN, ADF_JAM, ADF_MULTIPICK
from wsdgateway.http.messages import Headers, first

_NEVER_OF_AIRSCAN = frozenset((b"accept", b"accept-encoding", b"user-agent"))
# In a state other than DoorOpen, Jam, Loaded and Empty, SANE says "Operation not supported", or goes on asking.
_OF_SANE = {ADF_HATCH_OPEN: ADF_DOOR_OPEN, ADF_MULTIPICK: ADF_JAM}


class ClientKind(Enum):
    """The kinds of clients, with the seconds for which a request for a page that is not ready is held.

    SANE's backend escl takes the first 503 as the end of the pages. The others ask again, sane-airscan at most 30 times
    for a page, so that a shorter answer would end a slow page.
    """

    SANE_ESCL = 60.0
    OTHER = 8.0

    @property
    def hold(self) -> float:
        """The seconds."""
        return float(self.value)


def client_kind(headers: Headers) -> ClientKind:
    """The kind of the client that sends these headers.

    SANE's escl uses libcurl, which accepts everything, without User-Agent; sane-airscan sends neither.
    """
    return ClientKind.SANE_ESCL if _is_escl(headers) else ClientKind.OTHER


def adf_state_for(headers: Headers, state: str | None) -> str | None:
    """The state of a feeder in a word that the client with these headers knows."""
    return _OF_SANE.get(state, state) if state is not None and (_is_escl(headers) or _is_airscan(headers)) else state


def _is_escl(headers: Headers) -> bool:
    return first(headers, b"accept") == b"*/*" and first(headers, b"user-agent") is None


def _is_airscan(headers: Headers) -> bool:
    return first(headers, b"connection") == b"close" and _NEVER_OF_AIRSCAN.isdisjoint(
        name.lower() for name, _ in headers)
