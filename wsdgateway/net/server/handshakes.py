"""Clients' TLS handshakes that came to nothing: said in the log, once a minute for each client.

RFC 8446, section 6.2. Whoever looks for the reason sees on the client's side little more than that it failed.
"""

from OpenSSL import SSL
from twisted.logger import Logger

from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.tls.trust import words_of

# What OpenSSL says, or a part of it, and what that means for a listener.
_MEANINGS = {
    "did not return a certificate": "it shows no certificate, and [[listen]] client_ca asks for one",
    "certificate verify failed": "its certificate comes from nobody in [[listen]] client_ca, or has expired",
    "alert unknown ca": "it does not know the authority of our certificate",
    "alert bad certificate": "it does not believe our certificate",
    "alert certificate unknown": "it does not believe our certificate",
    "alert certificate expired": "our certificate has expired, it says",
    "http request": "it speaks HTTP without TLS",
}


def explain(error: SSL.Error) -> str:
    """Why a client's handshake came to nothing, for people: OpenSSL's words, and what they mean where that is known."""
    words = ", ".join(words_of(error))
    meaning = next((meaning for part, meaning in _MEANINGS.items() if part in words), None)
    return f"no TLS connection ({words or 'no reason given'})" + (f": {meaning}" if meaning else "")


class Handshakes:
    """Those of all clients of a door."""

    log = Logger()

    def __init__(self) -> None:
        self._throttle = LogThrottle()

    def failed(self, client: str, error: SSL.Error, now: float) -> None:
        """One came to nothing, at that time in seconds of a monotonic clock."""
        if self._throttle.allows(client, now):
            self.log.info("{client}: {why} (said once a minute)", client=client, why=explain(error))
