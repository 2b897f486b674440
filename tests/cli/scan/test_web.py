"""Tests of cli.scan.web: what is said about a certificate that is not accepted."""

import socket
import ssl
import threading

import pytest

from tests.certificates import Certified
from wsdgateway.cli.scan.outcomes import UNREACHABLE, ScanError
from wsdgateway.cli.scan.securing import Judgement
from wsdgateway.cli.scan.web import Web

PIN = ", or give the pin of its key with --pin"


@pytest.fixture
def server():
    """Starts a TLS server for one handshake; returns its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def run(certified):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certified.pem, certified.key)

        def serve():
            connection, _ = listening.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"https://127.0.0.1:{listening.getsockname()[1]}/eSCL"

    yield run
    for thread in threads:
        thread.join(10)
    listening.close()


@pytest.mark.parametrize(("host", "days", "is_trusted", "message"), [
    ("192.0.2.5", 30, True,
     "the certificate is not valid for 127.0.0.1; use an address that its subjectAltName contains"),
    ("127.0.0.1", -1, True,
     "the certificate cannot be verified: certificate has expired; renew it, or correct the clock"),
    ("127.0.0.1", 30, False, "the certificate cannot be verified: self-signed certificate; "
     "give the certificate of its authority with --ca")])
def test_the_advice_fits_the_cause(server, tmp_path, host, days, is_trusted, message):
    certified = Certified(tmp_path, "scanner", host, days=days)
    url = server(certified)
    with pytest.raises(ScanError) as caught:
        Web(Judgement(ca=str(certified.pem) if is_trusted else None)).connect(url)
    assert str(caught.value) == f"{url}: {message}{PIN}"
    assert caught.value.status == UNREACHABLE
