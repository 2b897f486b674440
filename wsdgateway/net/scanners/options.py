"""What the configuration says of one scanner."""

import attrs

from wsdgateway.bridge.events.sinks import Network
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust


@attrs.frozen
class ScannerOptions:
    """What the configuration says of one scanner. At most one of `scan`, `device` (URLs) and `uuid` is given.

    `served` tells one set of our own addresses from another.
    """

    name: str
    scan: str | None = None
    device: str | None = None
    uuid: str | None = None
    same_identity: bool = False
    suffix: str = ""
    announced: bool = False
    served: str = ""
    subscribe: bool = True
    max_connections: int = 2
    max_rate: float | None = None
    cache: bool = True
    timeout: float = 60.0
    idle_timeout: float = 60.0
    lenient: bool = False
    trust: Trust = BY_THE_SYSTEM
    event_sources: tuple[Network, ...] = ()
    max_age: float = 30.0
    poll_interval: float = 1.0
    elements: float = 300.0
    history: int = 1000
    expires: float = 3600.0
    client_expires: float = 86400.0
    scanner_rate: float = 100.0
    client_queue: int = 256
    client_retry: float = 3600.0
    max_subscriptions: int = 1000
    scanner_silence: float = 86400.0
    check: float = 60.0
    authorities: frozenset[str] = frozenset()
