"""The options of one scanner: configuration sections as they are, and values derived from others.

Code that needs a key reads it from its section at the time of use. To add a key to one of these sections, only the
section and the place of use have to be changed.
"""

import attrs

from wsdgateway.config.sections import Cache, Events, ScannerConfig
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust


@attrs.frozen
class ScannerOptions:
    """The options of one scanner: `section` is its `[[scanner]]`; `cache` and `events` apply to all scanners.

    `trust` verifies its certificate. `source` is the local address that it is spoken to from; the system's choice if it
    is empty. `announced`: clients find its stand-in by discovery, under its name with `suffix`.
    `by_escl`: it is offered by eSCL, with the names and the uuid of its description. `authorities` are the hosts and
    ports at which clients are told to reach the gateway; `served` identifies a set of the gateway's own addresses, to
    detect changes.
    """

    section: ScannerConfig
    cache: Cache = attrs.field(factory=Cache)
    events: Events = attrs.field(factory=Events)
    trust: Trust = BY_THE_SYSTEM
    announced: bool = False
    by_escl: bool = False
    suffix: str = ""
    authorities: frozenset[str] = frozenset()
    served: str = ""
    source: str = ""

    @property
    def is_described_early(self) -> bool:
        """True if its description is read in advance, before a client asks for it."""
        return self.announced or (self.by_escl and self.section.scan is None)

    @property
    def name(self) -> str:
        """The scanner's name, which is part of its path."""
        return self.section.name

    @property
    def uuid(self) -> str | None:
        """The uuid by which the scanner is configured, or None."""
        return self.section.uuid

    def with_one_connection(self) -> "ScannerOptions":
        """Returns these options with a single connection."""
        return attrs.evolve(self, section=attrs.evolve(self.section, max_connections=1))
