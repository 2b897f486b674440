"""What a listener shows of itself, and whom it lets in: certificate, key, and whose clients' certificates count.

RFC 9325 sections 3.1 and 4.2: TLS 1.2 at least, ciphers with forward secrecy and authenticated encryption.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from cryptography.x509 import Certificate
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.internet.ssl import Certificate as TwistedCertificate
from zope.interface import implementer

from wsdgateway.tls.files import BadFile, as_openssl, read_certificates, read_key

HTTP = b"http/1.1"
SOON = timedelta(days=14)
# Of TLS 1.2; those of 1.3 are all like these.
CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL")


@attrs.frozen
class IdentityFiles:
    """The files of one listener. `certificate` may hold those that lead to the root, too, after its own.

    With `client_ca` only clients with a certificate from it are let in.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    chain: Path | None = None


@attrs.frozen(eq=False)
class Identity:
    """What was read from the files: the context of connections to come, and until when its certificate counts."""

    context: SSL.Context
    expires: datetime

    def remark(self, now: datetime) -> str | None:
        """What somebody should do about the certificate, if anything."""
        if self.expires > now + SOON:
            return None
        return f"{'expired' if self.expires <= now else 'expires'} at {self.expires:%Y-%m-%d %H:%M} UTC; renew it"


class BadIdentity(BadFile):
    """`key` names the one of `IdentityFiles` that is wrong."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def _certificates(key: str, path: Path | None) -> list[Certificate]:
    try:
        return [] if path is None else read_certificates(path)
    except BadFile as bad:
        raise BadIdentity(key, str(bad)) from None


def _choose(connection: SSL.Connection, offered: list[bytes]) -> bytes | Any:
    """What is spoken after the handshake, of what a client offers. RFC 7301 section 3.2.

    One that offers nothing that we know is not sent away: it may speak HTTP/1.1 all the same.
    """
    return HTTP if HTTP in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def read_identity(files: IdentityFiles) -> Identity:
    """The identity in these files. Raises `BadIdentity`."""
    own, *chain = _certificates("certificate", files.certificate)
    chain += _certificates("certificate", files.chain)
    clients = _certificates("client_ca", files.client_ca)
    try:
        key = read_key(files.key)
    except BadFile as bad:
        raise BadIdentity("key", str(bad)) from None
    trusted: Any = None if not clients else trustRootFromCertificates(
        [TwistedCertificate(as_openssl(one)) for one in clients])
    try:
        context = CertificateOptions(
            privateKey=key, certificate=own, extraCertChain=chain,  # type: ignore[arg-type]
            raiseMinimumTo=TLSVersion.TLSv1_2, acceptableCiphers=CIPHERS, trustRoot=trusted).getContext()
    except SSL.Error:
        raise BadIdentity("key", f"the key of the certificate in {files.certificate}, and one that is long enough"
                          ) from None
    # Who leaves without close_notify leaves, for Twisted, a failure that holds the connection until a look for cycles.
    # Requests say how long they are: nothing is lost by taking that for an end.
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_alpn_select_callback(_choose)
    return Identity(context, own.not_valid_after_utc)


@implementer(IOpenSSLServerConnectionCreator)
class CurrentIdentity:
    """The identity that connections of one listener begin with; another one takes its place without breaking any."""

    def __init__(self, files: IdentityFiles) -> None:
        self._files = files
        self.identity = read_identity(files)

    @property
    def asks_for_certificate(self) -> bool:
        """Whether clients without a certificate are sent away."""
        return self._files.client_ca is not None

    def reload(self, files: IdentityFiles) -> None:
        """Read the files, which may be other ones. Raises `BadIdentity`; then all stays as it was."""
        self.identity = read_identity(files)
        self._files = files

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection for a client that has just come."""
        connection = SSL.Connection(self.identity.context, None)
        connection.set_app_data(tlsProtocol)
        return connection
