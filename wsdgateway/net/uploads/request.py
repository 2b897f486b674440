"""One upload: a POST request with the file, bounded in time and in what is read of the answer. RFC 9112."""

import os
import secrets
from pathlib import Path
from typing import Any

import attrs
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import error as neterror
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError  # twisted.web.client has its subclasses only
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers

from wsdgateway.bridge.uploads.answers import Accepted, Again, Outcome, Rejected, outcome_of
from wsdgateway.config.headerfile import read_header
from wsdgateway.http.urls import address_of
from wsdgateway.net.transport.errors import describe_error
from wsdgateway.net.uploads.connecting import MAX_ANSWER, Connections
from wsdgateway.net.uploads.form import Form
from wsdgateway.program import VERSION
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import is_unverified, words_of

STALLED_SECONDS = 60.0  # in which the server takes nothing of the file, or accepts no connection
ANSWER_SECONDS = 180.0  # after the file; servers behind a proxy store it first
BODY_SECONDS = 10.0  # for the body of the answer, of which only an excerpt is of use
MAX_EXCERPT = 300  # characters of the answer that are logged
_PIECE = 65536


@attrs.frozen
class Target:
    """An upload server: its URL, the name of the form field, and the file with a header line."""

    url: str
    field: str = "document"
    header_file: Path | None = None


class _Excerpt(Protocol):
    """Reads the start of an answer's body; `done` fires with it at its end."""

    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data[:4 * MAX_EXCERPT - len(self.data)]

    def connectionLost(self, reason: Failure = neterror.ConnectionDone) -> None:  # type: ignore[assignment]
        if not self.done.called:
            self.done.callback(None)


class Sender:
    """Sends files to upload servers. `trust` verifies their certificates; default: the authorities of the system."""

    def __init__(self, reactor: Any, wall: Any, trust: Any = None) -> None:
        self._reactor = reactor
        self._wall = wall
        self._trust = trust

    async def send(self, target: Target, path: Path, name: str) -> Outcome:
        """Sends the file at `path` under a file name; returns what came of it.

        Fails with `CancelledError` only if it is cancelled.
        """
        headers = Headers({b"User-Agent": [f"wsdgateway/{VERSION}".encode()], b"Accept": [b"application/json, */*"]})
        secret = b""
        try:
            if target.header_file is not None:
                field, secret = read_header(target.header_file)
                headers.setRawHeaders(field, [secret])
        except BadFile as bad:
            return Again(f"upload_header_file must be {bad}", of_server=True)
        connections, deadline = Connections(self._reactor, self._trust), _Deadline(self._reactor)
        try:
            form = Form(path, target.field, name, secrets.token_hex(16).encode(), deadline.moved)
        except OSError as error:
            return Again(f"the file cannot be read ({error.strerror})")
        try:
            headers.setRawHeaders(b"Content-Type", [form.content_type])
            return await self._post(target.url, headers, form, secret, connections, deadline)
        finally:
            deadline.stop()
            connections.end()
            form.close()

    async def _post(self, url: str, headers: Headers, form: Form, secret: bytes, connections: Connections,
                    deadline: "_Deadline") -> Outcome:
        agent = Agent.usingEndpointFactory(self._reactor, connections)
        body: Any = FileBodyProducer(form, readSize=_PIECE)
        address = address_of(url)
        target = b"%b://%b%b" % (b"https" if address.secure else b"http", address.authority, address.target)
        requesting: Deferred[Any] = agent.request(b"POST", target, headers, body)
        deadline.guard(requesting)
        try:
            response = await requesting
        except CancelledError:
            raise
        except Exception as error:
            if deadline.reached:
                return Again("the server does not answer" if form.is_read else
                             "the server takes nothing of the file", of_server=True)
            return _failed(error, address.host)
        deadline.stop()
        retry_after = response.headers.getRawHeaders(b"Retry-After", [None])[0]
        outcome = outcome_of(response.code, (retry_after or b"").decode("latin-1"), self._wall())
        try:
            return _explained(outcome, await self._excerpt(response), secret)
        except CancelledError:
            if isinstance(outcome, Accepted):
                return outcome  # the server has the file, whatever else it would say
            raise

    async def _excerpt(self, response: Any) -> bytes:
        excerpt = _Excerpt()
        response.deliverBody(excerpt)
        excerpt.done.addTimeout(BODY_SECONDS, self._reactor, lambda failure, _: None)
        await excerpt.done
        return excerpt.data


class _Deadline:
    """Cancels a request of which nothing has moved for too long."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self.reached = False

    def guard(self, request: Deferred[Any]) -> None:
        """Begin; the request is cancelled when the time is over."""
        self._timer = self._reactor.callLater(STALLED_SECONDS, self._end, request)

    def _end(self, request: Deferred[Any]) -> None:
        self._timer, self.reached = None, True
        request.cancel()

    def moved(self, is_last: bool) -> None:
        """Begin again, since a piece of the file is being sent."""
        if self._timer is not None:
            self._timer.reset(ANSWER_SECONDS if is_last else STALLED_SECONDS)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _explained(outcome: Outcome, body: bytes, secret: bytes) -> Outcome:
    """Adds the start of the answer's body to the reason; the secret of the request is masked, should it be there."""
    if not isinstance(outcome, Rejected | Again):
        return outcome
    for part in (secret, *secret.split()) if secret else ():
        if len(part) > 7:
            body = body.replace(part, b"...")
    text = " ".join("".join(one if one.isprintable() else " " for one in body.decode("utf-8", "replace")).split())
    text = text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "..."
    return attrs.evolve(outcome, reason=f"{outcome.reason}: {text}") if text and not text.startswith("<") else outcome


def _failed(error: BaseException, host: str) -> Again:
    """Describes why there is no answer."""
    reasons = [one.value if isinstance(one, Failure) else one for one in getattr(error, "reasons", [])]
    cause = next((one for one in reasons if one is not None), error)
    if isinstance(cause, VerificationError | CertificateError):
        return Again(f"its certificate is not valid for {host}", of_server=True)
    if isinstance(cause, SSL.Error):
        return Again("its certificate has expired, or was not issued by an authority that this system trusts"
                     if is_unverified(cause) else f"TLS failed ({', '.join(words_of(cause)) or 'it hung up'})",
                     of_server=True)
    if isinstance(cause, neterror.DNSLookupError):
        return Again(f"the name {host} cannot be resolved", of_server=True)
    if isinstance(cause, neterror.ConnectionRefusedError):
        return Again("the server does not accept connections", of_server=True)
    if isinstance(cause, neterror.TimeoutError):
        return Again("the server cannot be reached", of_server=True)
    if isinstance(cause, OSError) and cause.errno is None:
        return Again(f"the file cannot be sent ({cause})")
    if isinstance(cause, neterror.ConnectionAborted):
        return Again(f"its answer is longer than {MAX_ANSWER} bytes", of_server=True)
    if isinstance(cause, neterror.ConnectionDone):
        return Again("it has closed the connection without an answer", of_server=True)
    if isinstance(cause, ParseError | ValueError):  # whose texts have the bytes of the answer
        return Again("its answer is not HTTP", of_server=True)
    number = getattr(cause, "osError", None)
    return Again(f"the connection failed ({os.strerror(number) if number else describe_error(cause)})", of_server=True)
