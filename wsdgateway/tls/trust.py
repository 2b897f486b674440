"""Verifies the identity of devices: by a certification authority and the device's name, or by its key.

RFC 9525 (names and IP addresses, verified by service_identity); RFC 7469 section 2.4 for pins. Nothing is sent to a
device before it has been verified.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust, trustRootFromCertificates
from zope.interface import implementer

from wsdgateway.http.urls import ip_of
from wsdgateway.tls.files import as_openssl, pin_of, read_certificates
from wsdgateway.tls.identity import IdentityFiles, tls_context

# If the key itself is known, its length and the authority's signature add nothing; scanners use RSA keys of 1,024 bits
# that OpenSSL would refuse by default.
_ANY_STRENGTH = b":@SECLEVEL=0"


class Untrusted(Exception):
    """The peer could not be verified; the text says why, and `detail` is for the administrator only."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.detail = detail


class WrongKey(Untrusted):
    """The peer's key is not the pinned one."""


@attrs.frozen(slots=False)
class Trust:
    """The rules for verifying one device's certificate.

    It is verified by the authorities in the file `ca`, by the `pin` of its key, or not at all if `insecure`; by
    default, by the authorities that the system trusts. With `demanded`, nothing is sent without TLS, whatever addresses
    the device, or somebody in its name, announces. A peer that asks for a certificate is shown that of `own`.
    """

    ca: Path | None = None
    pin: str | None = None
    insecure: bool = False
    demanded: bool = False
    own: IdentityFiles | None = None

    @cached_property
    def context(self) -> SSL.Context:
        """The TLS context for connections to the device. Raises `BadFile`."""
        by_name = self.pin is None and not self.insecure
        root: Any = None
        if by_name:
            root = platformTrust() if self.ca is None else trustRootFromCertificates(
                [TwistedCertificate(as_openssl(one)) for one in read_certificates(self.ca)])
        if self.own is None:
            context = CertificateOptions(trustRoot=root, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        else:
            context, _ = tls_context(self.own, trustRoot=root)
        context.set_options(SSL.OP_NO_RENEGOTIATION)  # a verified peer must not change its certificate
        if not by_name:
            context.set_cipher_list(b"DEFAULT" + _ANY_STRENGTH)
        return context

    def judge(self, connection: SSL.Connection, host: str) -> None:
        """Verifies the peer of a connection whose handshake is complete. Raises `Untrusted`."""
        if self.insecure:
            return
        try:
            certificate = connection.get_peer_certificate(as_cryptography=True)
            if certificate is None:
                raise Untrusted("it presented no certificate")
            if self.pin is not None:
                found = pin_of(certificate)
                if found != self.pin:
                    raise WrongKey("its certificate does not match the pin",
                                   f"its key is {found}; if the scanner has a new key, set this as its pin")
                return
            _verify(connection, host)
        except (ValueError, UnsupportedAlgorithm) as error:  # a certificate that the library cannot read
            raise Untrusted(f"its certificate cannot be read ({error})") from None
        except (VerificationError, CertificateError):
            raise Untrusted(f"its certificate is not valid for {host}; give an address that the certificate names, "
                            "or set its pin (wsdgateway discover --pin)") from None


BY_THE_SYSTEM = Trust()


def _verify(connection: SSL.Connection, host: str) -> None:
    address = ip_of(host)
    if address is None:
        verify_hostname(connection, host)
    else:
        verify_ip_address(connection, str(address))


@implementer(IOpenSSLClientConnectionCreator)
class Caller:
    """Opens TLS connections to a host. `Trust.judge` verifies the peer after the handshake."""

    def __init__(self, trust: Trust, host: str) -> None:
        self._context = trust.context
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Creates the TLS connection, before the handshake."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if ip_of(self._host) is None:
            connection.set_tlsext_host_name(self._host.encode("idna"))  # RFC 6066 section 3: names only
        return connection


def words_of(error: SSL.Error) -> list[str]:
    """Returns OpenSSL's reasons for an error, in order."""
    return [str(reason[-1]) for reason in error.args[0]] if error.args else []


def is_unverified(error: BaseException) -> bool:
    """True if the handshake failed because no authority vouches for the peer's certificate."""
    return isinstance(error, SSL.Error) and "certificate verify failed" in words_of(error)


def explain(error: BaseException) -> str:
    """Describes for people why a handshake failed."""
    if isinstance(error, Untrusted):
        return str(error)
    words = words_of(error) if isinstance(error, SSL.Error) else []
    if is_unverified(error):
        return ("its certificate has expired, or was not issued by a trusted authority; set ca to the file of its "
                "authority, or set its pin (wsdgateway discover --pin)")
    return f"TLS handshake failed ({', '.join(words) or str(error) or 'it hung up'})"
