"""Reads certificates and keys from PEM files. RFC 7468."""

import hashlib
from base64 import b64encode
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL.crypto import X509

PIN = "sha256/"
MAX_FILE = 1 << 20


class BadFile(Exception):
    """A file is not as required; the text says what it has to hold."""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BadFile(f"a file that can be read ({path}: {error.strerror})") from None
    if len(data) > MAX_FILE:
        raise BadFile(f"a file of at most {MAX_FILE} bytes")
    return data


def read_certificates(path: Path) -> list[Certificate]:
    """Returns the certificates in a file, at least one. Raises `BadFile`."""
    try:
        found = load_pem_x509_certificates(_read(path))
    except ValueError:
        found = []
    if not found:
        raise BadFile(f"a file with a certificate in PEM, and {path} is not")
    return found


def read_key(path: Path) -> PrivateKeyTypes:
    """Returns the private key in a file. Raises `BadFile`."""
    data = _read(path)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise BadFile(f"a file with a private key without a password, and {path} is not; remove the password with "
                      "openssl pkey") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadFile(f"a file with a private key in PEM, and {path} is not") from None


def as_openssl(certificate: Certificate) -> X509:
    """Converts a certificate to a pyOpenSSL object."""
    return X509.from_cryptography(certificate)


def pin_of(certificate: Certificate) -> str:
    """Returns the pin of a certificate's key: `sha256/` and the digest of its SubjectPublicKeyInfo in base64.

    RFC 7469 section 2.4. The key is pinned rather than the certificate, because a device that renews its certificate
    mostly keeps its key.
    """
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PIN + b64encode(hashlib.sha256(key).digest()).decode()
