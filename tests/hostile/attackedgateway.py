"""Gateway with a scanner and a subscriber, with checks of the effect of hostile messages."""

import attrs
from twisted.internet.defer import gatherResults

from tests.messages import SCAN, envelope, fault, get_job_elements, manage, status_event, subscribe
from tests.peers import Device, Sink, ask, connect, post
from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import make_config
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSD, WSE
from wsdgateway.soap.parsing import Malformed

LOOPBACK = "tcp:0:interface=127.0.0.1"
SCAN_PATH, DEVICE_PATH = "/front-desk/scan", "/front-desk"
EVENTS, MANAGER = "events", "manager"  # in place of paths that are known only when the gateway runs
OWN_REQUESTS = ("Subscribe", "Renew", "Unsubscribe", "Get")
FOREIGN_TO = "urn:uuid:somebody"  # not the gateway's address, so that a forwarded message remains unchanged
DONE = envelope(f"{SCAN}/AnyResponse", "<wscn:AnyResponse/>", message_id="urn:uuid:device-2")
DESCRIPTION = envelope(
    f"{SCAN}/GetScannerElementsResponse",
    (
        "<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData><wscn:ScannerDescription>"
        "<wscn:ScannerName>Front desk</wscn:ScannerName></wscn:ScannerDescription></wscn:ElementData>"
        "</wscn:ScannerElements></wscn:GetScannerElementsResponse>"
    ),
)
GRANT = envelope(
    f"{WSE}/SubscribeResponse",
    (
        "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://127.0.0.1:9/manager</wsa:Address>"
        "</wse:SubscriptionManager><wse:Expires>PT1H</wse:Expires></wse:SubscribeResponse>"
    ),
)


RESOLVE = (
    f'<wsd:Resolve xmlns:wsd="{WSD}"><wsa:EndpointReference><wsa:Address>urn:uuid:5</wsa:Address>'
    "</wsa:EndpointReference></wsd:Resolve>"
)


@attrs.frozen
class Outcome:
    """The answer to a message (status, fault code, body), and the requests that reached the scanner."""

    status: int
    code: str | None
    body: bytes
    reached: tuple


@attrs.frozen
class LocalEndpoint:
    """An address where the gateway answers itself, and a message to it without further headers."""

    path: str
    message: bytes
    status: int = 200

    def with_headers(self, headers):
        """Returns the message with these headers added."""
        end = b"</a:MessageID>" if b"</a:MessageID>" in self.message else b"</soap:Header>"
        more = headers.encode()
        return self.message.replace(end, end + more if end.startswith(b"</a") else more + end)


class AttackedGateway:
    """Gateway with its scanner and a subscriber. The scanner answers WS-Scan operations with `answer`."""

    async def start(self):
        from twisted.internet import reactor

        self.device, self.sink = Device(), Sink()
        self.device.handle = self.serve
        self.answer = lambda asked: asked.answer(DONE)
        self.scan_requests = []
        await self.device.start()
        await self.sink.start()
        self.service = GatewayService(
            reactor,
            make_config(
                {
                    "gateway": {"state": "memory:", "name": "test"},
                    "listen": [{"endpoint": LOOPBACK}],
                    "scanner": [{"name": "front-desk", "scan": self.device.url}],
                    "admin": {"endpoint": LOOPBACK},
                },
                "test.toml",
            ),
        )
        self.service.startService()
        await gatherResults([listener.opened for listener in (*self.service.listeners, self.service.admin)])
        self.port = self.service.listeners[0].address[1]
        self.admin_port = self.service.admin.address[1]
        [self.scanner] = self.service.scanners
        await until(lambda: self.scanner.bridge.table.listening)
        [secret] = self.scanner.sink.addresses
        self.paths = {EVENTS: f"/front-desk/events/{secret}"}
        assert (await self.send(EVENTS, status_event("1", "Completed", 2))).status == 202
        granted = await self.send(SCAN_PATH, subscribe(self.sink.url))
        self.paths[MANAGER] = (
            "/" + read(granted.body).body.find(f"{{{WSE}}}SubscriptionManager")[0].text.split("/", 3)[3]
        )
        [self.subscription] = self.scanner.bridge.subscriptions.all()

    async def stop(self):
        await self.service.stopService()
        await self.sink.stop()
        await self.device.stop()

    def serve(self, asked):
        """Answers a request as the scanner."""
        name = (read(asked.request.body).action or "").rpartition("/")[2]
        if name == "Subscribe":
            asked.answer(GRANT)
        elif name in OWN_REQUESTS:
            asked.answer(envelope(f"{WSE}/{name}Response"))
        elif b">wscn:ScannerDescription<" in asked.request.body:
            asked.answer(DESCRIPTION)
        elif name in ("GetJobElements", "GetJobHistory") and dict(asked.request.headers).get(
                b"User-Agent") == b"wsdgateway":
            asked.answer(NO_SUCH_JOB)  # the gateway asks for a job of which it tells its subscriber
        else:
            self.scan_requests.append(asked.request)
            self.answer(asked)

    async def send(self, path, body, **more):
        """Sends one message on a connection of its own."""
        before = len(self.scan_requests)
        head, answer = await ask(self.port, self.paths.get(path, path), body, **more)
        try:
            code = fault_of(read(answer))
        except Malformed:
            code = None
        return Outcome(head.status, code, answer, tuple(self.scan_requests[before:]))

    async def refuses(self, path, message, code):
        """Checks that the message is refused with that code, and that nothing reaches the scanner."""
        before = len(self.device.requests)
        outcome = await self.send(path, message)
        assert (outcome.status, outcome.code, outcome.reached) == (400, code, ())
        assert len(self.device.requests) == before
        assert len(outcome.body) < 4000

    def state(self):
        """Returns the known jobs, subscriptions and addresses."""
        bridge = self.scanner.bridge
        return (
            {job.job_id: job.status for job in bridge.table.jobs()},
            set(bridge.subscriptions.all()),
            set(self.scanner.sink.addresses),
            bridge.table.listening,
        )

    async def check(self, state):
        """Checks that the state is unchanged, and that normal requests get normal answers, all on one connection."""
        await until(lambda: not self.service.server.connections)
        assert self.state() == state
        client = await connect(self.port)
        before = len(self.scan_requests)
        client.send(post(SCAN_PATH, get_job_elements("1")))
        head, answer = await client.answer()
        assert (head.status, fault_of(read(answer))) == (200, None)
        assert b">Completed<" in answer
        assert len(self.scan_requests) == before
        usual = envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>", to=FOREIGN_TO)
        former, self.answer = self.answer, lambda asked: asked.answer(DONE)
        client.send(post(SCAN_PATH, usual))
        head, answer = await client.answer()
        self.answer = former
        assert (head.status, answer) == (200, DONE)
        assert self.scan_requests[-1].body == usual
        client.send(post(self.paths[MANAGER], manage("GetStatus")))
        assert (await client.answer())[0].status == 200
        client.transport.abortConnection()
        await client.end()
        self.scan_requests.clear()


NO_SUCH_JOB = fault("wscn:ClientErrorJobIdNotFound")
