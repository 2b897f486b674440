"""Sends requests over HTTP for `wsdgateway scan`, with or without TLS, each on its own connection, as other clients do.

RFC 9112; SOAP 1.2 over HTTP POST.
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, RemoteDisconnected
from socket import gaierror
from urllib.parse import urlsplit

import attrs

from wsdgateway.bridge.health.causes import REFUSED, unresolved
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan import securing
from wsdgateway.cli.scan.outcomes import FAILED, UNREACHABLE, ScanError, cause_of, plain
from wsdgateway.cli.scan.scanner import CONNECT_TIMEOUT, ScannerRefusal
from wsdgateway.cli.scan.securing import Judgement
from wsdgateway.cli.tlsproblems import CLOSED, why_no_tls, why_not_trusted
from wsdgateway.http.messages import charset_of
from wsdgateway.http.urls import PORTS, address_of
from wsdgateway.soap.envelope import Envelope, read_leniently
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.parsing import Malformed

MAX_ANSWER = 1 << 20
PIECE = 65536
_SOAP = {"Content-Type": "application/soap+xml; charset=utf-8"}


@attrs.frozen
class WebAnswer:
    """An answer that is short enough to be read at once. Names of `headers` are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def checked_url(text: str) -> str:
    """A URL that the user has given, with http:// if it has no scheme. Raises `ScanError`."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        valid = (parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
                 and url.isascii() and url.isprintable() and " " not in url)
    except ValueError:
        valid = False
    if not valid:
        raise ScanError(f"{printable(text)!r}: must be the http:// or https:// URL of a scanner or a gateway, such as "
                        "http://192.0.2.5:5357/front-desk, with a port from 1 to 65535", WRONG)
    return url


def refusal_of(envelope: Envelope) -> ScannerRefusal | None:
    """The fault in a message, or None if there is none."""
    fault = fault_of(envelope)
    return None if fault is None else ScannerRefusal(fault or "a fault", reason_of(envelope))


def content_type_of(response: HTTPResponse) -> str:
    """The Content-Type of an answer; empty if it has none."""
    return response.getheader("Content-Type") or ""


class Web:
    """Sends requests to valid URLs, and judges servers with TLS. A failure raises `ScanError`.

    So does a `judgement` with an unusable file at once, since a server without TLS may lead to one with it.
    """

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement
        self._context = securing.context_for(judgement)
        self._answering: set[str] = set()  # the hosts and ports that have answered

    def connect(self, url: str, timeout: float = CONNECT_TIMEOUT) -> HTTPConnection:
        """Open a connection; `timeout` in seconds bounds each step."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        secure = parts.scheme == "https"
        made = HTTPSConnection(host, port, timeout=timeout, context=self._context) if secure else HTTPConnection(
            host, port, timeout=timeout)
        try:
            made.connect()
        except ssl.SSLCertVerificationError as error:
            why = why_not_trusted(error, host, "give the certificate of its authority with --ca",
                                  ", or give the pin of its key with --pin")
            raise ScanError(f"{url}: {why}", UNREACHABLE) from None
        except (OSError, ValueError) as error:  # ValueError: an impossible host name
            raise _silent(url, error) from None
        if secure:
            securing.judge(made, self._judgement)
        return made

    @contextmanager
    def connection(self, url: str, timeout: float) -> Iterator[HTTPConnection]:
        """Open a connection, and close it at the end of the block."""
        connection = self.connect(url, timeout)
        try:
            yield connection
        finally:
            connection.close()

    def send(self, connection: HTTPConnection, url: str, *, method: str, body: bytes | None,
             headers: Mapping[str, str], timeout: float, silent: int = UNREACHABLE) -> HTTPResponse:
        """Send a request. Returns the answer, with its body unread. `silent` is the exit status without an answer."""
        try:
            connection.sock.settimeout(timeout)
            connection.request(method, address_of(url).target.decode(), body, {**headers, "Connection": "close"})
            response = connection.getresponse()
        except (OSError, HTTPException, ValueError) as error:
            raise _silent(url, error, silent if isinstance(error, OSError) else FAILED,
                          has_answered=urlsplit(url).netloc in self._answering) from None
        self._answering.add(urlsplit(url).netloc)
        return response

    def post(self, connection: HTTPConnection, url: str, message: bytes, timeout: float,
             silent: int = UNREACHABLE) -> HTTPResponse:
        """Send a SOAP message."""
        return self.send(connection, url, method="POST", body=message, headers=_SOAP, timeout=timeout, silent=silent)

    def exchange(self, url: str, message: bytes, timeout: float) -> Envelope:
        """Send a SOAP message, and read the answer. Raises `ScannerRefusal` for a fault or an answer without SOAP."""
        end = time.monotonic() + CONNECT_TIMEOUT + timeout
        with self.connection(url, min(CONNECT_TIMEOUT, timeout)) as connection:
            return self.envelope(self.post(connection, url, message, timeout), end)

    def request(self, url: str, timeout: float, *, method: str = "GET", body: bytes | None = None,
                headers: Mapping[str, str] | None = None) -> WebAnswer:
        """Send a request, and read the answer."""
        end = time.monotonic() + CONNECT_TIMEOUT + timeout
        with self.connection(url, min(CONNECT_TIMEOUT, timeout)) as connection:
            response = self.send(connection, url, method=method, body=body, headers=headers or {}, timeout=timeout)
            try:
                content = _short(response, end)
            except (OSError, HTTPException) as error:
                raise _silent(url, error) from None
            headers = {name.lower(): value for name, value in response.getheaders()}
            return WebAnswer(response.status, plain(response.reason), headers, content)

    def envelope(self, response: HTTPResponse, end: float) -> Envelope:
        """The message in an answer. Raises `ScannerRefusal` if it is a fault, or no SOAP."""
        try:
            envelope = read_leniently(_short(response, end), charset_of(content_type_of(response).encode("latin-1")))
        except (Malformed, OSError, HTTPException):
            what = "" if response.status >= 400 else ": an answer without SOAP"
            raise ScannerRefusal(f"HTTP {response.status}", f"{plain(response.reason)}{what}") from None
        refusal = refusal_of(envelope)
        if refusal is not None:
            raise refusal
        return envelope


def _short(response: HTTPResponse, end: float) -> bytes:
    answer = bytearray()
    while len(answer) <= MAX_ANSWER and time.monotonic() < end and (piece := response.read1(PIECE)):
        answer += piece
    return bytes(answer)


def _silent(url: str, error: Exception, status: int = UNREACHABLE, *, has_answered: bool = False) -> ScanError:
    if isinstance(error, ssl.SSLError):
        return ScanError(f"{url}: {why_no_tls(error)}", status)
    if isinstance(error, ConnectionRefusedError):
        return ScanError(f"{url} does not answer: {REFUSED.clause}; is it switched on, and is the port right?",
                         status)
    if isinstance(error, ConnectionResetError) and has_answered:  # also a RemoteDisconnected
        return ScanError(f"{url}: the connection was closed before the answer; a gateway does so when it is stopped",
                         status)
    if isinstance(error, RemoteDisconnected) and url.startswith("http:"):
        return ScanError(f"{url} does not answer: {CLOSED}", status)
    if isinstance(error, gaierror):
        return ScanError(f"{url} does not answer: {unresolved(urlsplit(url).hostname or '').clause}", status)
    if isinstance(error, TimeoutError):
        return ScanError(f"{url} does not answer in time; if this is a gateway, the scanner behind it may hang", status)
    return ScanError(f"{url} does not answer: {cause_of(error)}", status)
