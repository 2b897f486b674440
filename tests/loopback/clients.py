"""Requests of clients to the gateway, and readers of its answers."""

import io

from rich.console import Console
from twisted.internet.threads import deferToThread

from tests.peers import ask, connect
from wsdgateway.cli.scan.calls import Times
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.run import Order, scan
from wsdgateway.discovery.messages import read_message
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.scan.jobelements import read_response
from wsdgateway.soap.envelope import compose, read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSA, WSCN, WSDP, WSE

A, W = f"{{{WSA}}}", f"{{{WSE}}}"


async def request(port, path, *, method=b"GET", headers=b"", body=b"", host=b"127.0.0.1"):
    """Sends a request and returns status, head and body."""
    client = await connect(port)
    client.send(method + b" " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n" + headers
                + (b"Content-Length: %d\r\n" % len(body) if body else b"") + b"\r\n" + body)
    head, _, content = (await client.end()).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, content


class Granted:
    """The contents of a SubscribeResponse."""

    def __init__(self, head, body):
        self.status = head.status
        self.envelope = read(body)
        assert fault_of(self.envelope) is None, reason_of(self.envelope)
        response = self.envelope.body
        manager = response.find(f"{W}SubscriptionManager")
        self.manager = manager.findtext(f"{A}Address")
        self.path = "/" + self.manager.split("/", 3)[3]
        self.identifier = manager.findtext(f"{A}ReferenceParameters/{W}Identifier")
        self.expires = response.findtext(f"{W}Expires")
        self.tokens = dict(read_tokens(response))


def shown(body):
    status = read_response(read(body).body).status
    return status.state, status.scans_completed


async def get(port, path, host=b"127.0.0.1"):
    client = await connect(port)
    client.send(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    head, _, body = (await client.end()).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


class Ran:
    """A run of `wsdgateway scan`: its files, its console output and its status."""

    def __init__(self):
        self._files, self._said, self.out = io.StringIO(), io.StringIO(), io.BytesIO()
        self.slept = 0.0
        self.error = None
        self.progress = Progress(Console(file=self._said, width=200), self._files)

    def sleep(self, seconds):
        self.slept += seconds

    def get(self, answers, seconds):
        """Waits for an answer as long as it takes; the clock of this run does not move meanwhile."""
        return answers.get(timeout=60)

    @property
    def times(self):
        return Times(lambda: self.slept, lambda seconds: self.sleep(seconds),
                     lambda answers, seconds: self.get(answers, seconds))

    def __call__(self, url, output=None, **more):
        try:
            scan(Order(url, output, **more), self.progress, times=self.times, out=self.out)
        except (ScanError, KeyboardInterrupt) as error:
            self.error = error

    @property
    def status(self):
        return 0 if self.error is None else self.error.status if isinstance(self.error, ScanError) else 130

    @property
    def files(self):
        return self._files.getvalue().split()

    @property
    def said(self):
        return self._said.getvalue()


async def scanned(url, output=None, **more):
    """Runs the scan client as its users do: blocking, in a thread of its own."""
    ran = Ran()
    await deferToThread(ran, url, output, **more)
    return ran




def asking(version, name, content):
    return compose(action=version.action(name), message_id="urn:uuid:q", to=version.everybody,
                   addressing=version.addressing, body=f"<d:{name}>{content}</d:{name}>",
                   namespaces={"d": version.uri, "wsdp": WSDP, "wscn": WSCN})


def probe(version=WS_2005_04, types="wscn:ScanDeviceType wscn:ScannerServiceType", scopes=""):
    return asking(version, "Probe", f"<d:Types>{types}</d:Types>{scopes}")


def resolve(address, version=WS_2005_04):
    return asking(version, "Resolve", (
        f"<wsa:EndpointReference><wsa:Address>{address}</wsa:Address></wsa:EndpointReference>"))


async def found(service, path, message, version=WS_2005_04, tls=None):
    """Sends a Probe or Resolve, and returns endpoint and XAddrs of each match."""
    head, body = await ask(service.port, path, message, tls=tls)
    assert head.status == 200, fault_of(read(body))
    envelope = read_message(body)
    assert (envelope.relates_to, envelope.version) == ("urn:uuid:q", version)
    return [(match.endpoint, " ".join(match.xaddrs)) for match in envelope.content]
