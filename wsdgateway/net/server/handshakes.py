"""Logs clients' failed TLS handshakes, once a minute for each client.

RFC 8446, section 6.2. The client usually shows no more than that the handshake failed.
"""

from OpenSSL import SSL
from twisted.logger import Logger

from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.tls.trust import words_of

CLIENT_CA = "[[listen]] client_ca"
# Parts of OpenSSL's messages, and their meaning for a listener.
_MEANINGS = {
    "did not return a certificate": "it presented no certificate, which [[listen]] client_ca requires",
    "certificate verify failed": "its certificate was not issued by an authority in [[listen]] client_ca, or has "
                                 "expired",
    "alert unknown ca": "it does not know the authority of the gateway's certificate",
    "alert bad certificate": "it rejects the gateway's certificate",
    "alert certificate unknown": "it rejects the gateway's certificate",
    "alert certificate expired": "the gateway's certificate has expired",
    "http request": "it sent plain HTTP to a TLS port",
}


def explain(error: SSL.Error, setting: str = CLIENT_CA) -> str:
    """Describe why a client's handshake failed: OpenSSL's message, and its meaning if that is known.

    `setting` is the key of the configuration that names the authority of clients.
    """
    words = ", ".join(words_of(error))
    meaning = next((meaning for part, meaning in _MEANINGS.items() if part in words), None)
    return f"TLS handshake failed ({words or 'no reason given'})" + (
        f": {meaning.replace(CLIENT_CA, setting)}" if meaning else "")


class Handshakes:
    """Logs the failed handshakes of all clients."""

    log = Logger()

    def __init__(self) -> None:
        self._throttle = LogThrottle()

    def failed(self, client: str, error: SSL.Error, now: float) -> None:
        """Log a failed handshake; `now` is the time in seconds on a monotonic clock."""
        if self._throttle.allows(client, now):
            self.log.info("{client}: {why} (logged at most once a minute)", client=client, why=explain(error))
