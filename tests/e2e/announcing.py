"""Announces eSCL scanners until the program is terminated: `announcing.py INTERFACE GATEWAY NAME…`.

A line of standard input withdraws the scanner of that name, or announces it again. Standard output tells what happens.
"""

import sys

from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineOnlyReceiver

from wsdgateway.dnssd.scannerservice import ScannerService
from wsdgateway.net.dnssd.announcer import Announcer


def say(*words):
    print(*words, flush=True)


class Commands(LineOnlyReceiver):
    """Withdraws and announces by name."""

    delimiter = b"\n"

    def __init__(self, announcer, services):
        self._announcer, self._services = announcer, services

    def lineReceived(self, line):
        one = self._services[line.decode()]
        if self._announcer.names(one.scanner):
            self._announcer.withdraw(one.scanner)
        else:
            self._announcer.announce(one)


def main(interface, gateway, *names):
    announcer = Announcer(
        reactor, (interface,), gateway, on_name=lambda interface, service, name: say("announced", name),
        on_conflict=lambda interface, service, name: say("conflict", name),
        on_others=lambda interface, scanners: say(
            "others", *sorted(" ".join((one.name, one.uuid, *sorted(map(str, one.addresses)))) for one in scanners)))
    services = {}
    for number, name in enumerate(names):
        services[name] = ScannerService(
            f"s{number}", name, 8400 + number, f"Model of {name}", f"00000000-0000-0000-0000-00000000000{number}",
            colors=("grayscale", "color"), sources=("platen", "adf"), admin_url=f"http://{{host}}:{8400 + number}/")
        announcer.announce(services[name])
    announcer.start()
    stdio.StandardIO(Commands(announcer, services))
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop(announcer)))
    reactor.run()


async def stop(announcer):
    await announcer.stop()
    say("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
