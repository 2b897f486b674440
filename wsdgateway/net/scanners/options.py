"""The options of one scanner: sections of the configuration as they are, and what is derived from others.

Consumers take what they need from a section when they need it. A new key of one of these sections so is an attribute
there and its use; nothing in between names it.
"""

import attrs

from wsdgateway.config.sections import Cache, Events, ScannerConfig
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust


@attrs.frozen
class ScannerOptions:
    """The options of one scanner: `section` is its `[[scanner]]`, `cache` and `events` are for all.

    `trust` judges its certificate. `announced`: clients find its stand-in by discovery, under its name with `suffix`.
    `authorities` are the hosts and ports under which clients are told to reach the gateway; `served` tells one set of
    the gateway's own addresses from another.
    """

    section: ScannerConfig
    cache: Cache = attrs.field(factory=Cache)
    events: Events = attrs.field(factory=Events)
    trust: Trust = BY_THE_SYSTEM
    announced: bool = False
    suffix: str = ""
    authorities: frozenset[str] = frozenset()
    served: str = ""

    @property
    def name(self) -> str:
        """The scanner's name, a part of its path here."""
        return self.section.name

    @property
    def uuid(self) -> str | None:
        """The scanner's uuid, where it is given by that."""
        return self.section.uuid

    def with_one_connection(self) -> "ScannerOptions":
        """These options with a single connection."""
        return attrs.evolve(self, section=attrs.evolve(self.section, max_connections=1))
