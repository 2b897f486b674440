"""Says why there is no TLS connection to a server, and what to do about it. RFC 8446, RFC 9525, RFC 5280 section 6."""

import ssl

from wsdgateway.cli.printing import printable

CLOSED = "it closes the connection without an answer; if it uses TLS, write https:// instead of http://"
_OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OTHER_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def why_not_trusted(error: ssl.SSLCertVerificationError, host: str, trust: str, alternative: str = "") -> str:
    """Describe a certificate that is not accepted for a host, in one line.

    `trust` says how to name its authority; `alternative` begins with ", or" and helps against every cause.
    """
    if error.verify_code in _OTHER_NAME:
        return (f"the certificate is not valid for {host}; use an address that its subjectAltName contains"
                f"{alternative}")
    remedy = "renew it, or correct the clock" if error.verify_code in _OTHER_TIME else trust
    return f"the certificate cannot be verified: {printable(error.verify_message).rstrip('.')}; {remedy}{alternative}"


def why_no_tls(error: ssl.SSLError) -> str:
    """Describe a handshake that failed for another reason than the server's certificate, in one line."""
    name = printable(str(getattr(error, "reason", None) or error))
    if "CERTIFICATE_REQUIRED" in name:
        return ("it requires a certificate from its clients (client_ca), and wsdgateway has none; use the address of "
                "another listener")
    return f"no TLS connection ({name}); if it does not use TLS, write http:// instead of https://"
