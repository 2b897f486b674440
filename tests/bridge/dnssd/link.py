"""A responder with a simulated clock, and hosts on its link that hear and ask."""

from ipaddress import ip_address

from wsdgateway.bridge.dnssd.responder import Responder
from wsdgateway.dnssd.messages import (
    PTR,
    SRV,
    Message,
    Question,
    Record,
    Service,
    name_of,
    read_message,
    write_message,
)
from wsdgateway.dnssd.scannerservice import ScannerService

TYPE = name_of("_uscan._tcp.local")
SECURE_TYPE = name_of("_uscans._tcp.local")
HOST = name_of("wsdgw-1.local")
OTHER_HOST = name_of("zz-printer.local")
ADDRESSES = (ip_address("192.0.2.5"), ip_address("fe80::5"))
ASKER = "192.0.2.77"


def service(scanner="front-desk", name="Front Desk", port=8400, **more):
    return ScannerService(scanner, name, port, "Canon MF410", "4509a320-00a0-008f-00b6-002507510eca", **more)


def instance(name, kind=TYPE):
    return (name.encode(), *kind)


def claim(name, *, host=OTHER_HOST, port=9999, ttl=120, kind=TYPE):
    """The SRV record with which another host claims a name."""
    return Record(instance(name, kind), SRV, Service(host, port), ttl, True)


def asked(*names_and_kinds, unicast=False, **more):
    return Message(questions=tuple(Question(name, kind, unicast) for name, kind in names_and_kinds), **more)


PTR_QUESTION = asked((TYPE, PTR))


class Link:
    """One link: `pass_time` collects in `sent` each packet with its time, as others read it."""

    def __init__(self, *services, addresses=ADDRESSES):
        self.now = 1000.0
        self.sent, self.named, self.conflicts = [], [], []
        self.responder = Responder("wsdgw-1.local", lambda: 0.5,
                                   on_name=lambda service, name: self.named.append((service.scanner, name)),
                                   on_conflict=lambda service, name: self.conflicts.append((service.scanner, name)))
        self.do("set_addresses", addresses)
        for one in services:
            self.do("announce", one)

    def do(self, method, *arguments):
        """Calls a method of the responder, which takes the time first."""
        return self._take(getattr(self.responder, method)(self.now, *arguments))

    def say(self, message, *, host=ASKER, port=5353, version=4):
        """A host of the link sends a message; returns what is sent at once."""
        return self.do("receive", version, host, port, message)

    def pass_time(self, seconds):
        end = self.now + seconds
        while self.responder.deadline is not None and self.responder.deadline <= end:
            self.now = max(self.now, self.responder.deadline)
            self._take(self.responder.advance(self.now))
        self.now = end

    def settle(self):
        """Lets every service be announced, and forgets what was sent."""
        self.pass_time(10)
        self.sent.clear()
        return self

    def answers(self, message, **more):
        """The records with which a message is answered, within a second."""
        self.sent.clear()
        self.say(message, **more)
        self.pass_time(1)
        return [record for packet in self.packets for record in packet.message.answers]

    @property
    def packets(self):
        return [packet for _, packet in self.sent]

    def _take(self, packets):
        for packet in packets:
            assert read_message(write_message(packet.message)) == packet.message
            self.sent.append((round(self.now - 1000, 3), packet))
        return packets
