"""Certificates for tests: a certificate authority, certificates signed by it, and self-signed ones."""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PIN = "sha256/" + "A" * 43 + "="  # a pin that matches no key


class Certified:
    """A key, its certificate, and the files that hold them."""

    def __init__(self, folder, name, *hosts, issuer=None, ca=False, days=30, bits=None):
        self.name = name
        self.private = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(
                issuer.certificate.subject if issuer else subject)
            .public_key(self.private.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), False)
        self.certificate = builder.sign(issuer.private if issuer else self.private, hashes.SHA256())
        self.pem = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        self.pem.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.key.write_bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _name(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
