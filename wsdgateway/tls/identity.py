"""The TLS identity of a listener: certificate, key, and the authorities whose client certificates are accepted.

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
# For TLS 1.2; all cipher suites of TLS 1.3 are of this kind.
CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL")


@attrs.frozen
class IdentityFiles:
    """The files of one listener. `certificate` may also hold the intermediate certificates, after the listener's own.

    With `client_ca`, only clients with a certificate from that authority are accepted.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    chain: Path | None = None


@attrs.frozen(eq=False)
class Identity:
    """A loaded identity: the TLS context for new connections, and the expiry time of its certificate."""

    context: SSL.Context
    expires: datetime

    def remark(self, now: datetime) -> str | None:
        """Returns a warning if the certificate has expired or expires soon, otherwise None."""
        if self.expires > now + SOON:
            return None
        return f"{'expired' if self.expires <= now else 'expires'} at {self.expires:%Y-%m-%d %H:%M} UTC; renew it"


class BadIdentity(BadFile):
    """An identity cannot be loaded. `key` names the field of `IdentityFiles` that is wrong."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def _certificates(key: str, path: Path | None) -> list[Certificate]:
    try:
        return [] if path is None else read_certificates(path)
    except BadFile as bad:
        raise BadIdentity(key, str(bad)) from None


def _choose(connection: SSL.Connection, offered: list[bytes]) -> bytes | Any:
    """Selects the application protocol (ALPN) from a client's offer. RFC 7301 section 3.2.

    A client that offers no known protocol is not rejected: it may speak HTTP/1.1 all the same.
    """
    return HTTP if HTTP in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _reason(error: SSL.Error) -> str:
    """The reason of an OpenSSL error, such as "ee key too small"."""
    return ", ".join(reason for _, _, reason in error.args[0]) if error.args else "no reason given"


def tls_context(files: IdentityFiles, **options: Any) -> tuple[SSL.Context, Certificate]:
    """Returns a context that presents the certificate of the files, and that certificate. Raises `BadIdentity`.

    `options` are more arguments of `CertificateOptions`.
    """
    own, *chain = _certificates("certificate", files.certificate)
    chain += _certificates("certificate", files.chain)
    try:
        key = read_key(files.key)
    except BadFile as bad:
        raise BadIdentity("key", str(bad)) from None
    try:
        return CertificateOptions(
            privateKey=key, certificate=own, extraCertChain=chain,  # type: ignore[arg-type]
            raiseMinimumTo=TLSVersion.TLSv1_2, **options).getContext(), own
    except SSL.Error as error:
        if "mismatch" in _reason(error):
            raise BadIdentity("key", f"the key of the certificate in {files.certificate}; it belongs to another one"
                              ) from None
        raise BadIdentity("certificate", f"a certificate that OpenSSL accepts: {_reason(error)}") from None


def read_identity(files: IdentityFiles) -> Identity:
    """Loads the identity from its files. Raises `BadIdentity`."""
    clients = _certificates("client_ca", files.client_ca)
    trusted: Any = None if not clients else trustRootFromCertificates(
        [TwistedCertificate(as_openssl(one)) for one in clients])
    context, own = tls_context(files, acceptableCiphers=CIPHERS, trustRoot=trusted)
    # When a peer closes without close_notify, Twisted keeps a failure that holds the connection until the cyclic
    # garbage collector runs. Requests declare their length, so treating this as a normal end loses nothing.
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_alpn_select_callback(_choose)
    return Identity(context, own.not_valid_after_utc)


@implementer(IOpenSSLServerConnectionCreator)
class CurrentIdentity:
    """The identity for new connections of one listener; replacing it does not affect existing connections."""

    def __init__(self, files: IdentityFiles) -> None:
        self._files = files
        self.identity = read_identity(files)

    @property
    def asks_for_certificate(self) -> bool:
        """True if clients without a certificate are rejected."""
        return self._files.client_ca is not None

    def reload(self, files: IdentityFiles) -> None:
        """Loads the identity again, possibly from other files.

        Raises `BadIdentity`, and then keeps the current identity.
        """
        self.identity = read_identity(files)
        self._files = files

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Creates the TLS connection for a client that has just connected."""
        connection = SSL.Connection(self.identity.context, None)
        connection.set_app_data(tlsProtocol)
        return connection
