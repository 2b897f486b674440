"""Logs clients' failed TLS handshakes, once a minute for each client.

RFC 8446, section 6.2. The client usually shows no more than that the handshake failed.
"""

from OpenSSL import SSL
from twisted.logger import Logger

from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.tls.trust import words_of

# Parts of OpenSSL's messages, and their meaning for a listener.
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
    """Describe why a client's handshake failed: OpenSSL's message, and its meaning if that is known."""
    words = ", ".join(words_of(error))
    meaning = next((meaning for part, meaning in _MEANINGS.items() if part in words), None)
    return f"no TLS connection ({words or 'no reason given'})" + (f": {meaning}" if meaning else "")


class Handshakes:
    """Logs the failed handshakes of all clients."""

    log = Logger()

    def __init__(self) -> None:
        self._throttle = LogThrottle()

    def failed(self, client: str, error: SSL.Error, now: float) -> None:
        """Log a failed handshake; `now` is the time in seconds on a monotonic clock."""
        if self._throttle.allows(client, now):
            self.log.info("{client}: {why} (said once a minute)", client=client, why=explain(error))
