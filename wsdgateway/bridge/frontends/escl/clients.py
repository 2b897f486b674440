"""Recognises the kind of an eSCL client by its headers, and how long it waits for a page."""

from enum import Enum

from wsdgateway.http.messages import Headers, first


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
    is_curl = first(headers, b"accept") == b"*/*" and first(headers, b"user-agent") is None
    return ClientKind.SANE_ESCL if is_curl else ClientKind.OTHER
