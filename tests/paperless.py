"""A stand-in for Paperless-ngx: `POST /api/documents/post_document/` with a token, and trouble in front of it.

As documented: 200 with the UUID of a task in JSON, 400 with an object of errors, 401 without a valid token. The file is
in the form field `document`.
"""

import json
from email.parser import BytesParser
from email.policy import HTTP
from uuid import UUID

import attrs
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.internet.protocol import Factory, Protocol

PATH = "/api/documents/post_document/"
TOKEN = "Token 0123456789abcdef0123456789abcdef01234567"
TASK = str(UUID(int=7))
SILENT = "silent"  # reads everything and answers nothing
ENDLESS = "endless"  # 200 with a body that has no end
ENDLESS_HEAD = "endless head"
HALF_BODY = "half a body"  # 500 with a body that stops
HALF_ACCEPTED = "200 and half a body"
BROKEN = "broken"  # closes the connection instead of an answer


@attrs.frozen
class Answer:
    """An answer; with `early`, it is sent before the body of the request has been read, and no more is read."""

    status: int
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    early: bool = False

    def write(self):
        fields = [*self.fields, ("Content-Length", str(len(self.body)))]
        head = f"HTTP/1.1 {self.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        return head.encode() + b"\r\n" + self.body


@attrs.frozen
class Raw:
    """Bytes instead of an answer, after which the connection is closed."""

    data: bytes


@attrs.frozen
class Received:
    """A request with a whole body: its head, and the form field, file name, type and bytes of the file."""

    head: bytes
    fields: dict
    field: str
    name: str
    media: str
    data: bytes
    disposition: bytes


def read_form(content_type, body):
    """The part of a form with one file; raises `AssertionError` if it has another form."""
    boundary = content_type.partition("boundary=")[2].encode()
    start, end = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--\r\n"
    assert body.startswith(start) and body.endswith(end), body[:200]
    part = body[len(start):-len(end)]
    assert b"--" + boundary not in part
    head, _, data = part.partition(b"\r\n\r\n")
    message = BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert len(lines) == 2, lines
    return message, data, lines[0]


class _Connection(Protocol):
    def __init__(self, server):
        self._server = server
        self._data = bytearray()
        self._head = None
        self._is_done = False

    def connectionMade(self):
        self._server.connections.add(self)

    def connectionLost(self, reason=None):
        self._server.connections.discard(self)

    def dataReceived(self, data):
        if self._is_done:
            return
        self._data += data
        if self._head is None:
            head, blank, rest = bytes(self._data).partition(b"\r\n\r\n")
            if not blank:
                return
            self._head, self._data = head, bytearray(rest)
        head = self._head
        answer = self._server.script[0] if self._server.script else None
        fields = {name.lower(): value for name, _, value in (
            line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])}
        if isinstance(answer, Answer) and answer.early:
            self._is_done = True
            self._server.heads.append(head)
            self._server.script.pop(0)
            self.transport.write(answer.write())
            return
        if len(self._data) < int(fields["content-length"]):
            self._server.partial()
            return
        body = bytes(self._data)
        assert len(body) == int(fields["content-length"])
        self._is_done = True
        self._server.heads.append(head)
        if self._server.script:
            self._server.script.pop(0)
        self._respond(answer or self._server.accept(head, fields, body))

    def _respond(self, answer):
        if answer == BROKEN:
            self.transport.abortConnection()
        elif isinstance(answer, Raw):
            self.transport.write(answer.data)
            self.transport.loseConnection()
        elif answer == ENDLESS:
            self.transport.write(b"HTTP/1.1 200 X\r\n\r\n")
            self.transport.registerProducer(_Endless(self.transport, b"x" * 65536), False)
        elif answer == ENDLESS_HEAD:
            self.transport.write(b"HTTP/1.1 200 X\r\n")
            self.transport.registerProducer(_Endless(self.transport, b"A: b\r\n" * 5000), False)
        elif answer in (HALF_BODY, HALF_ACCEPTED):
            status = b"500" if answer == HALF_BODY else b"200"
            self.transport.write(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 1000\r\n\r\nno room")
        elif answer != SILENT:
            self.transport.write(answer.write())


class _Endless:
    def __init__(self, transport, piece):
        self._transport, self._piece = transport, piece

    def resumeProducing(self):
        self._transport.write(self._piece)

    def stopProducing(self):
        pass


class Paperless(Factory):
    """The server. `script` has the answers to the next requests; after these, it accepts what is right.

    `received` are the requests with a form; `partial` is called when a part of a body has come.
    """

    noisy = False

    def __init__(self, token=TOKEN):
        self.token = token
        self.script = []
        self.heads = []
        self.received = []
        self.connections = set()
        self.partial = lambda: None
        self._port = None
        self._number = 0
        self._tls = False

    def buildProtocol(self, address):
        return _Connection(self)

    def accept(self, head, fields, body):
        message, data, disposition = read_form(fields["content-type"], body)
        self.received.append(Received(head, fields, message.get_param("name", header="content-disposition"),
                                      message.get_filename(), message.get_content_type(), data, disposition))
        if fields.get("authorization") != self.token:
            return Answer(401, json.dumps({"detail": "Invalid token."}).encode())
        if not head.startswith(f"POST {PATH} HTTP/1.1\r\n".encode()):
            return Answer(404)
        if message.get_param("name", header="content-disposition") != "document":
            return Answer(400, json.dumps({"document": ["No file was submitted."]}).encode())
        return Answer(200, json.dumps(TASK).encode(), (("Content-Type", "application/json"),))

    @property
    def names(self):
        """The file names of the requests with a form, in order."""
        return [one.name for one in self.received]

    async def start(self, certified=None):
        """Listen, at the former port if there was one; with TLS if there is a certificate."""
        from twisted.internet import reactor

        if certified is None:
            self._port = await TCP4ServerEndpoint(reactor, self._number, interface="127.0.0.1").listen(self)
        else:
            self._tls = True
            self._port = await serverFromString(reactor, (
                f"ssl:0:privateKey={certified.key}:certKey={certified.pem}:interface=127.0.0.1")).listen(self)
        self._number = self._port.getHost().port

    @property
    def url(self):
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._number}{PATH}"

    async def stop(self):
        """Close the port and every connection."""
        for one in list(self.connections):
            one.transport.abortConnection()
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()
