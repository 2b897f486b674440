"""Clients and their event sinks on a network in memory, which record what they ask and receive."""

import attrs
from twisted.internet.protocol import ClientFactory, Factory, Protocol

from tests.cluster.clients import Creation
from tests.cluster.history import FOREVER, NO_ANSWER, Answer, Delivery, Status, Subscription
from tests.cluster.inmemory.network import Host
from tests.cluster.recorder import event_of, fault_in_answer, read_or_none
from tests.messages import get_job_elements, job_request, manage, subscribe
from tests.peers import post
from wsdgateway.http.requests import Request, RequestReader
from wsdgateway.http.responses import Data, Head, ResponseReader
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

PATH = "/desk/scan"
ANSWER_SECONDS = 30.0
SINK_PORT = 8080
MARK = "{urn:mark}Mark"  # in the scanner's own events of jobs
_W = f"{{{WSE}}}"


class Call(ClientFactory):
    """An HTTP request on a connection of its own; `done` is called once, with status and body, or None and nothing."""

    noisy = False

    def __init__(self, host, ip, port, path, body, done, seconds):
        self._done, self._message = done, post(path, body, headers=b"Connection: close\r\n")
        self._timer = host.callLater(seconds, self.end, None, b"")
        self._connecting = host.connectTCP(ip, port, self, timeout=None)

    def buildProtocol(self, address):
        return _Reader(self, self._message)

    def clientConnectionFailed(self, connector, reason):
        self.end(None, b"")

    def end(self, status, body):
        if self._done is not None:
            done, self._done = self._done, None
            if self._timer.active():
                self._timer.cancel()
            self._connecting.disconnect()
            done(status, body)


class _Reader(Protocol):
    def __init__(self, call, message):
        self._call, self._message = call, message
        self._reader, self._status, self._body = ResponseReader(), None, []

    def connectionMade(self):
        self.transport.write(self._message)

    def dataReceived(self, data):
        if self._reader.ended:
            return
        for event in self._reader.feed(data):
            if isinstance(event, Head):
                self._status = event.status
            elif isinstance(event, Data):
                self._body.append(event.data)
        if self._reader.ended:
            self._call.end(self._status, b"".join(self._body))

    def connectionLost(self, reason):
        self._call.end(None, b"")


@attrs.frozen(eq=False)
class Granted:
    """A subscription that was granted to a client."""

    client: "Client"
    sink: str
    identifier: str


class Client:
    """A client at an address of its own, with its sinks. `lists` are those of the history."""

    def __init__(self, network, lists, ip):
        self.network, self._lists, self.ip = network, lists, ip
        self.host = Host(network, ip)
        self._count = 0
        factory = Factory.forProtocol(_Sink)
        factory.client, factory.noisy = self, False
        self.host.listenTCP(SINK_PORT, factory)

    def _message_id(self):
        self._count += 1
        return f"urn:uuid:00000000-0000-4000-8{self.ip.rpartition('.')[2]:>03}-{self._count:012}"

    def _ask(self, gateway, operation, message, then=lambda answer, body: None, read_entry=lambda body: {}, **entry):
        begin = self.network.now

        def done(status, body):
            fault = NO_ANSWER if status is None else fault_in_answer(status, body)
            found = read_entry(body) if fault is None else {}
            answer = Answer(**{"begin": begin, "end": self.network.now, "gateway": gateway.name,
                               "operation": operation, "client": self.ip, "fault": fault, **entry, **found})
            self._lists["answers"].append(answer)
            then(answer, body)

        Call(self.host, gateway.ip, gateway.port, PATH, message, done, ANSWER_SECONDS)

    def read(self, gateway, job_id, then=lambda answer, body: None):
        """Reads the status of a job."""
        def statuses(body):
            elements = read_response(read(body).body)
            status = None if elements is None else elements.status
            return {"fault": "no status"} if status is None else {"status": Status.of(status)}

        self._ask(gateway, "GetJobElements", get_job_elements(job_id, message_id=self._message_id()), then, statuses,
                  job_id=job_id)

    def new_creation(self):
        """Returns a CreateScanJob to be sent, perhaps several times."""
        return Creation.new(self._message_id())

    def create(self, gateway, creation, then=lambda answer, body: None):
        """Sends a CreateScanJob."""
        self._ask(gateway, "CreateScanJob", creation.message, then,
                  lambda body: {"job_id": read_created(read(body).body).job_id}, request=creation.message_id)

    def cancel(self, gateway, job_id):
        """Cancels a job."""
        self._ask(gateway, "CancelJob", job_request("CancelJob", job_id, message_id=self._message_id()), job_id=job_id)

    def subscribe(self, gateway, then, events=None, destinations=()):
        """Subscribes with a sink of its own; `then` is called with the subscription, if it is granted."""
        self._count += 1
        sink = f"http://{self.ip}:{SINK_PORT}/sink-{self._count}"

        def granted(answer, body):
            if answer.is_good:
                self._lists["subscriptions"].append(Subscription(sink, self.network.now, FOREVER, tuple(events or ())))
                then(Granted(self, sink, read(body).body.findtext(f".//{_W}Identifier")))

        self._ask(gateway, "Subscribe", subscribe(sink, events=events, destinations=destinations,
                                                  message_id=self._message_id()), granted, sink=sink)

    def renew(self, gateway, granted):
        """Renews a subscription."""
        self._ask(gateway, "Renew", manage("Renew", granted.identifier, expires="PT1H",
                                           message_id=self._message_id()), sink=granted.sink)

    def unsubscribe(self, gateway, granted):
        """Ends a subscription."""
        entries = self._lists["subscriptions"]
        for place, one in enumerate(entries):
            if one.sink == granted.sink:
                entries[place] = attrs.evolve(one, ended=min(one.ended, self.network.now))
        self._ask(gateway, "Unsubscribe", manage("Unsubscribe", granted.identifier, message_id=self._message_id()),
                  sink=granted.sink)

    def received(self, path, body):
        """Records a notification."""
        message = read_or_none(body)
        event, status, identifier = event_of(message)
        if identifier is None and message.body is not None:
            identifier = message.body.findtext(f".//{MARK}")
        self._lists["deliveries"].append(Delivery(
            self.network.now, f"http://{self.ip}:{SINK_PORT}{path}", event, message.message_id, status, identifier))


class _Sink(Protocol):
    def connectionMade(self):
        self._reader = RequestReader(1 << 20)

    def dataReceived(self, data):
        for event in self._reader.feed(data):
            if isinstance(event, Request):
                self.factory.client.received(event.path.decode(), event.body)
                self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.loseConnection()
