"""TLS for the console script: verifies the scanner by an authority or a pin, or not at all.

RFC 9525; the same checks as the gateway's own, with the standard library's sockets.
"""

import argparse
import ssl
from http.client import HTTPConnection
from pathlib import Path

import attrs
from cryptography.x509 import load_der_x509_certificate

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan.outcomes import UNREACHABLE, ScanError
from wsdgateway.config.checks import pin
from wsdgateway.config.wrong import Wrong
from wsdgateway.tls.files import pin_of


@attrs.frozen
class Judgement:
    """The verification of a server: by an authority (file `ca`), by the `pin` of its key, or none (`insecure`).

    By default, the system's authorities are trusted.
    """

    ca: str | None = None
    pin: str | None = None
    insecure: bool = False


BY_THE_SYSTEM = Judgement()


def add_judgement(parser: argparse.ArgumentParser) -> None:
    """Add the options for https addresses."""
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--ca", metavar="FILE", help="for https: certificate of the authority to trust, in PEM; "
                                                   "default: those that the system trusts")
    only.add_argument("--pin", metavar="PIN", type=_pin, help="for https: pin of the scanner's key, as printed by "
                                                              "wsdgateway discover --pin")
    only.add_argument("--insecure", action="store_true", help="for https: accept any certificate")


def _pin(text: str) -> str:
    try:
        return pin(text)
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(f"{text!r}: must be {wrong}") from None


def context_for(judgement: Judgement) -> ssl.SSLContext:
    """Make the TLS context of connections that `judge` verifies. Raises `ScanError` for an unusable file."""
    try:
        context = ssl.create_default_context(cafile=judgement.ca)
    except (OSError, ssl.SSLError):
        what = "is not a file with certificates in PEM" if Path(judgement.ca or "").is_file() else "cannot be read"
        raise ScanError(f"--ca {printable(judgement.ca or '')}: {what}", WRONG) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if judgement.pin is not None or judgement.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def judge(made: HTTPConnection, judgement: Judgement) -> None:
    """Verify the key of the server against the pin. Raises `ScanError`."""
    if judgement.pin is None:
        return
    shown = made.sock.getpeercert(binary_form=True) if isinstance(made.sock, ssl.SSLSocket) else None
    found = pin_of(load_der_x509_certificate(shown)) if shown else "none"
    if found != judgement.pin:
        made.close()
        raise ScanError(f"{made.host}: the key does not match --pin; its pin is {found}", UNREACHABLE)
