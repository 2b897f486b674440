"""Finds the base URLs at which clients of this gateway reach the scanners at other gateways, too."""

from collections.abc import Callable, Iterable

from wsdgateway.bridge.cluster.bases import near_bases, other_bases
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.config.sections import Config
from wsdgateway.net.transport.interfaces import Address, read_interfaces

MAX_NEAR = 64  # base URLs of clients for which those of other gateways are kept, until the next tick


class OtherBases:
    """The base URLs of other gateways, found once between two ticks for all scanners.

    `living` returns the registered gateways that live, a new tuple after each tick. `is_reached` is true if the others
    can pass requests on to this gateway.
    """

    def __init__(self, config: Callable[[], Config], living: Callable[[], tuple[Registration, ...]],
                 is_reached: Callable[[], bool]) -> None:
        self._config = config
        self._living = living
        self._is_reached = is_reached
        self._gateways: tuple[Registration, ...] = ()
        self._near: dict[tuple[str, tuple[Address, ...] | None], list[tuple[str, Registration]]] = {}

    def of(self, scanner: str, base: str, addresses: tuple[Address, ...] | None) -> Iterable[str]:
        """The bases at which clients of `base` reach a scanner at other gateways, which pass their requests on.

        `addresses` are those of the interface of `base`, or None: those of all interfaces. Empty if gateways share
        `base`, and if others could not pass requests on to this gateway.
        """
        gateways = self._living()
        if len(gateways) < 2 or not self._is_reached():
            return ()
        if gateways is not self._gateways or len(self._near) >= MAX_NEAR:
            self._gateways, self._near = gateways, {}
        near = self._near.get((base, addresses))
        if near is None:
            near = self._near[base, addresses] = self._find(base, addresses, gateways)
        return other_bases(near, scanner)

    def _find(self, base: str, addresses: tuple[Address, ...] | None, gateways: tuple[Registration, ...]
              ) -> list[tuple[str, Registration]]:
        if any(base == listen.advertise for listen in self._config().listen):
            return []
        try:
            here = tuple(address for one in read_interfaces().values() for address in one.addresses
                         ) if addresses is None else addresses
        except OSError:
            return []
        return near_bases(base, here, gateways)
