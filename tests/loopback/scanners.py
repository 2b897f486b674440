"""Scanners controlled by the test: one grants subscriptions, one has metadata, one holds a page back."""

from twisted.web.server import NOT_DONE_YET

from tests.messages import (
    envelope,
    fault,
)
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches
from wsdgateway.simulator.web import SoapResource
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSDP, WSE, WSX, WXF

W = f"{{{WSE}}}"


def grant(expires="PT1H", manager="http://127.0.0.1:{port}/manager"):
    return envelope(f"{WSE}/SubscribeResponse", (
        f"<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>{manager}</wsa:Address>"
        "<wsa:ReferenceParameters><wse:Identifier>urn:uuid:sub-1</wse:Identifier></wsa:ReferenceParameters>"
        f"</wse:SubscriptionManager><wse:Expires>{expires}</wse:Expires></wse:SubscribeResponse>"))


GRANT = grant


class Subscribed:
    """Device that grants every subscription, records the operations, and notifies when told to."""

    def __init__(self, device):
        self.device, self.actions, self.expires = device, [], "PT1H"
        self.refuse = None
        device.handle = self.handle

    def handle(self, asked):
        message = read(asked.request.body)
        name = message.action.rpartition("/")[2]
        self.actions.append(name)
        if name == "Subscribe":
            if self.refuse:
                asked.answer(fault(self.refuse), b"400 Bad Request")
                return
            self.subscribe = message
            self.notify_to = message.body.findtext(f"{W}Delivery/{W}NotifyTo/*")
            asked.answer(grant(self.expires).replace(b"{port}", b"%d" % self.device.port))
        elif name in ("Renew", "Unsubscribe"):
            self.last = message
            asked.answer(envelope(f"{WSE}/{name}Response", "<wse:RenewResponse/>"))
        elif name == "GetJobElements":
            asked.answer(fault("wscn:ClientErrorJobIdNotFound"), b"500 Error")
        else:
            asked.answer(b"<a/>")

    @property
    def path(self):
        return "/" + self.notify_to.split("/", 3)[3]


UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"


class Metadata:
    """Metadata of a device controlled by the test."""

    def __init__(self, device, endpoint=UUID, name="Copy Room", *, has_host=True):
        self.device, self.endpoint, self.name, self.has_host = device, endpoint, name, has_host
        self.asked, self.to, self.host = 0, [], "127.0.0.1"
        device.handle = self.take

    def take(self, asked):
        message = read(asked.request.body)
        if message.action == f"{WXF}/Get":
            self.asked += 1
            self.to.append(message.to)
            host = (f"<d:Host><wsa:EndpointReference><wsa:Address>{self.endpoint}</wsa:Address>"
                    "</wsa:EndpointReference></d:Host>") if self.has_host else ""
            asked.answer(envelope(f"{WXF}/GetResponse", (
                f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:ThisDevice><d:FriendlyName>{self.name}'
                "</d:FriendlyName></d:ThisDevice><d:ThisModel><d:ModelName>Acme 3000</d:ModelName></d:ThisModel>"
                f"<d:Relationship>{host}<d:Hosted><wsa:EndpointReference>"
                f"<wsa:Address>{self.device.url.replace('127.0.0.1', self.host)}</wsa:Address></wsa:EndpointReference>"
                "<d:Types>wscn:ScannerServiceType</d:Types></d:Hosted></d:Relationship></m:Metadata>")))
        elif message.action.endswith("/Probe"):
            xaddrs = (f"http://{self.host}:{self.device.port}/d",)
            asked.answer(write_matches(
                "ProbeMatches", [TargetService(self.endpoint, (), (), xaddrs, 1)],
                version=WS_2005_04, sequence=Sequence(1, 1), relates_to=message.message_id, message_id="urn:uuid:m"))
        else:
            asked.answer(b"", b"503 Busy")


class _Held:
    """Something that the virtual scanner sends only when the test says so."""

    def __init__(self):
        self.waiting = []
        self.is_held = True

    def send(self):
        """Sends what waits, and holds nothing more."""
        self.is_held = False
        while self.waiting:
            self.waiting.pop(0)()


class HeldPage(_Held):
    """The page with a number, which the virtual scanner sends only when the test says so."""

    def __init__(self, monkeypatch, number):
        super().__init__()
        draw = SoapResource.draw
        monkeypatch.setattr(SoapResource, "draw", lambda site, request, envelope, page: self.waiting.append(
            lambda: draw(site, request, envelope, page)) if self.is_held and page.number == number else draw(
                site, request, envelope, page))


class HeldAnswers(_Held):
    """The answers of the virtual scanner, which it sends only when the test says so."""

    def __init__(self, monkeypatch):
        super().__init__()
        render = SoapResource.render
        monkeypatch.setattr(SoapResource, "render", lambda site, request: (
            self.waiting.append(lambda: render(site, request)), NOT_DONE_YET)[1] if self.is_held else render(
                site, request))
