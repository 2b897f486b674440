"""The virtual scanner as a target service: announces itself, and answers Probe and Resolve.

WS-Discovery 2005/04, sections 4 to 6; DPWS 2006/02, section 4.
"""

import random
from collections.abc import Callable
from typing import Any

from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.bridge.discovery.presence import asked_for
from wsdgateway.discovery.messages import TargetService, message_in
from wsdgateway.discovery.writing import write_matches
from wsdgateway.net.discovery.links import DiscoveryLinks
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.targetservices import TargetServices
from wsdgateway.net.transport.localaddress import OpenPort, local_base, url_of
from wsdgateway.simulator.description import device_path, target_service
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap.envelope import Envelope

NAME = "scanner"
RATE = 1000.0  # messages a second: high enough not to slow tests down


class VirtualTarget:
    """The scanner's part in discovery. `listener` gives the port of the scanner, None while it is switched off."""

    def __init__(self, settings: Settings, *, wall: Callable[[], float], new_id: Callable[[], str],
                 listener: Callable[[], OpenPort | None]) -> None:
        self._settings = settings
        self._new_id = new_id
        self._listener = listener
        self._sequences = AppSequences(int(wall()))
        self.metadata_version = settings.metadata_version
        self._targets: TargetServices | None = None

    @property
    def service(self) -> TargetService | None:
        """The target service; None while the scanner is switched off."""
        return None if self._listener() is None else self._service()

    def _service(self) -> TargetService:
        return target_service(self._settings, self.metadata_version)

    def path(self) -> str:
        """The device's path."""
        return device_path(self._settings)

    def answer(self, envelope: Envelope, base: str) -> bytes:
        """The answer to a directed Probe or Resolve. Raises `Malformed`."""
        message = message_in(envelope)
        matches = asked_for(message, {self.path(): self._service()}, base)
        sequence = self._sequences.next([NAME])
        assert sequence is not None
        return write_matches(f"{message.name}Matches", matches, version=message.version, sequence=sequence,
                             relates_to=message.message_id, message_id=self._new_id())

    def discovery(self, reactor: Any) -> DiscoveryLinks:
        """The service that takes part in multicast discovery."""
        self._targets = TargetServices(
            reactor, MessageParameters(self._new_id, random.random, RATE), self._sequences, seconds=reactor.seconds,
            answer_rate=RATE, base_on=self._base_on, proxy=None, on_dropped=lambda reason: None)
        self._targets.add(NAME, self)
        return DiscoveryLinks(
            reactor, client_interfaces=self._settings.interfaces, device_interfaces=(), targets=self._targets,
            is_own=lambda message_id: False, count=lambda side, name: None, on_dropped=lambda reason: None)

    def _base_on(self, link: Link, client: str | None) -> str | None:
        client = client or next(str(one.ip) for one in link.interface.addresses if one.version == link.version)
        listener = self._listener()
        found = None if listener is None else local_base(link.interface.addresses, client, [listener])
        return None if found is None else url_of(found.interface, found.port, secure=found.secure)

    def switched_on(self) -> None:
        """Announce that the scanner is listening."""
        if self._targets is not None:
            self._targets.changed(NAME)

    def switched_off(self) -> None:
        """Handle a power loss: send no Bye, and use a new InstanceId after the next start."""
        self._sequences.drawn(self._sequences.instance_id + 1)
        if self._targets is not None:
            self._targets.forget(NAME)
