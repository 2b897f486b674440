"""Configuration file, clock, admin token and metrics of a gateway."""

import time

from twisted.internet.defer import gatherResults

from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import read_config

LOOPBACK = "tcp:0:interface=127.0.0.1"
TOKEN = "0123456789abcdef"
PATH = "/front-desk/scan"


class SteadyClock:
    """Monotonic clock that a test can advance."""

    ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead

    def advance(self, seconds):
        self.ahead += seconds


def with_token(**more):
    return {"admin": {"endpoint": LOOPBACK, "token": TOKEN, **more}}


def tls_listener(certified, **more):
    """Returns a `[[listen]]` section on loopback with this certificate."""
    return {"endpoint": LOOPBACK, "certificate": str(certified.pem), "key": str(certified.key), **more}


async def start_on_steady_clock(running, config):
    """Starts a gateway on a clock that the test can advance, `service.clock`. Its ports are open then."""
    from twisted.internet import reactor

    clock = SteadyClock()
    service = GatewayService(reactor, config, seconds=clock)
    service.clock = clock
    await running(service)
    await gatherResults([listener.opened for listener in (*service.listeners, service.admin)])
    service.port, service.admin_port = service.listeners[0].address[1], service.admin.address[1]
    service.scanner = service.scanners[0] if service.scanners else None
    return service


class File:
    """Configuration file, and the gateway that uses it."""

    def __init__(self, path, running):
        self.path, self._running = path, running

    def write(self, text):
        self.path.write_text(f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "{LOOPBACK}"\n'
                             f'[admin]\nendpoint = "{LOOPBACK}"\n{text}')

    async def start(self, text):
        from twisted.internet import reactor

        self.write(text)
        service = self.service = GatewayService(reactor, read_config(str(self.path)))
        await self._running(service)
        await gatherResults([listener.opened for listener in (*service.listeners, service.admin)])
        service.port, service.admin_port = service.listeners[0].address[1], service.admin.address[1]
        return service

    async def reload(self, text):
        self.write(text)
        self.service.reload()
        await until(lambda: self.service.reloading is None)


def section(name, url, more=""):
    return f'[[scanner]]\nname = "{name}"\nscan = "{url}"\n{more}\n'


def sample(service, name, **labels):
    """Returns the sum of a metric's values with these labels."""
    found = [line for line in service.metrics.render().decode().splitlines() if line.startswith(f"{name}{{") and all(
        f'{label}="{value}"' in line for label, value in labels.items())]
    return sum(float(line.rpartition(" ")[2]) for line in found)
