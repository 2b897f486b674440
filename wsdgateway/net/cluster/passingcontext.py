"""The parts of the process that the passing of all scanners shares."""

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from wsdgateway.bridge.cluster.passing import Held
from wsdgateway.metrics import Metrics
from wsdgateway.net.cluster.owners import Owners
from wsdgateway.net.cluster.peerlink import PeerLink
from wsdgateway.net.transport.accounting import Accounting


@attrs.frozen(eq=False)
class PassingContext:
    """The parts of the process that the passing of all scanners shares.

    `name` is that of this gateway, `identifier` that of its registration. `general` records exchanges that belong to no
    scanner; `accounting` makes the records of one.
    """

    reactor: IReactorTime
    name: str
    identifier: str
    link: PeerLink
    owners: Owners
    metrics: Metrics
    general: Accounting
    accounting: Callable[[str], Accounting]
    new_id: Callable[[], str]
    held: Held = attrs.Factory(Held)
