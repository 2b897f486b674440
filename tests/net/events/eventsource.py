"""Scanner's event source and the gateway as its subscriber, without sockets."""

from secrets import token_bytes

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.messages import envelope, fault
from wsdgateway.bridge.decisions import Reply
from wsdgateway.config.sections import Events
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSE
from wsdgateway.storage.memory import MemoryStore

W, A = f"{{{WSE}}}", f"{{{WSA}}}"
SCAN_URL = "http://192.0.2.20/scan"
EXPIRES = 3600.0
EPOCH = 1.8e9


class Scanner:
    """Conforming event source, except where attributes say otherwise.

    `requests` holds time, URL, operation and envelope of each request.
    """

    def __init__(self, clock):
        self.clock = clock
        self.requests, self.held, self.most, self.count = [], {}, 0, 0
        self.manager = "http://192.0.2.20/manager"
        self.refuses, self.answers, self.fails = set(), {}, {}
        self.gate = None

    def operations(self):
        return [operation for _, _, operation, _ in self.requests]

    def times(self, wanted):
        return [at for at, _, operation, _ in self.requests if operation == wanted]

    async def send(self, url, operation, body):
        message = read(body)
        self.requests.append((self.clock.seconds(), url, operation.name, message))
        if self.gate is not None:
            await self.gate
        if (error := self.fails.get(url) or self.fails.get(operation.name)) is not None:
            raise error
        if (answer := self.answers.get(url) or self.answers.get(operation.name)) is not None:
            if operation.name == "Subscribe":
                self.hold(message)
            return Reply(*answer)
        identifier = message.header.findtext(f"{W}Identifier")
        if operation.name in self.refuses or (operation.name != "Subscribe" and identifier not in self.held):
            return Reply(500, b"application/soap+xml", fault("wscn:OperationFailed", code="Receiver"))
        if operation.name == "Subscribe":
            identifier = self.hold(message)
            return Reply(200, b"application/soap+xml", envelope(f"{WSE}/SubscribeResponse", (
                f"<wse:SubscribeResponse><wse:SubscriptionManager>{self.address()}<wsa:ReferenceParameters>"
                f"<wse:Identifier>{identifier}</wse:Identifier></wsa:ReferenceParameters></wse:SubscriptionManager>"
                f"<wse:Expires>PT{EXPIRES:.0f}S</wse:Expires></wse:SubscribeResponse>")))
        if operation.name == "Unsubscribe":
            del self.held[identifier]
        return Reply(200, b"application/soap+xml",
                     envelope(f"{WSE}/{operation.name}Response", f"<wse:{operation.name}Response/>"))

    def hold(self, message):
        self.count += 1
        identifier = f"urn:uuid:{self.count}"
        self.held[identifier] = message.body.findtext(f"{W}Delivery/{W}NotifyTo/{A}Address")
        self.most = max(self.most, len(self.held))
        return identifier

    def address(self):
        return "" if self.manager is None else f"<wsa:Address>{self.manager}</wsa:Address>"


class Subscriber:
    """The gateway as the subscriber at one scanner, with a clock."""

    def __init__(self):
        self.clock = Clock()
        self.scanner = Scanner(self.clock)
        self.store = MemoryStore(10)
        self.base = "http://192.0.2.5:5357/front-desk/events"
        self.left, self.lost, self.ids = [], 0, 0
        self.begin()

    def begin(self):
        """Starts the process, for the first time or again."""
        life = self.life = object()

        async def base():
            return self.base

        async def send(*request):
            return await (self.scanner.send(*request) if self.life is life else Deferred())

        self.addresses = {}
        self.client = EventingClient(
            self.clock, "front-desk", ServiceLocation(SCAN_URL), Events(expires=EXPIRES), send, base,
            self.clock.seconds, lambda: EPOCH + self.clock.seconds(), lambda: 0.5, token_bytes, self.new_id, self.store,
            self.addresses, self.left.append)
        self.subscription = DeviceSubscription(self.client, on_lost=self.on_lost)

    def on_lost(self):
        self.lost += 1

    def new_id(self):
        self.ids += 1
        return f"urn:uuid:message-{self.ids}"

    def restart(self):
        """Kills the process and starts another one, which resumes the subscriptions in the store."""
        self.subscription.give_up()
        held = list(self.store.held().result)
        self.begin()
        if held:
            self.subscription.resume(held[0])
        else:
            self.subscription.start()

    def pass_time(self, seconds, step=1.0, also=lambda: None):
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            also()
