"""Assigns TCP ports to the eSCL scanners, and stores them.

`[escl] ports`, `[[scanner]] escl_port`. A port is stored when it is assigned, and opened then (`app.esclports`). With
several gateways only the owner of a scanner assigns its ports, in the store that they share.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from twisted.logger import Logger

from wsdgateway.bridge.frontends.escl.ports import Place, assign_ports
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.store import IStore, StoreError


class AssignedPorts:
    """The ports of the eSCL scanners, as the store has them.

    `on_change` is called when the stored ports have changed. `may_assign` is false for a scanner whose port another
    gateway assigns. `is_known_elsewhere` tells which scanners other gateways have, None without others.
    """

    log = Logger()

    def __init__(self, store: IStore) -> None:
        self._store = store
        self._stored: dict[str, int] = {}
        self._is_short = False  # a port is not in the store yet
        self._claims = Tasks("Assigning a port to an eSCL scanner failed")
        self._claimed: set[Place] = set()
        self._logged: set[Place] = set()
        self.on_change: Callable[[], None] = lambda: None
        self.may_assign: Callable[[str], bool] = lambda scanner: True
        self.is_known_elsewhere: Callable[[str], bool] | None = None

    async def read(self) -> bool:
        """Read the ports from the store. True if `assign` may have another result then."""
        stored = await self._store.escl_ports()
        before, self._stored = self._stored, stored
        return stored != before or self._is_short

    def assign(self, places: Iterable[Place], fixed: Mapping[Place, int], opened: Mapping[Place, int],
               ports: Iterable[int], reserved: Collection[int]) -> dict[Place, int]:
        """The port of each place that has one; see `assign_ports`. New ones are stored, unless they are `fixed`.

        `opened` are the ports that are open and not fixed: they are kept although the store has lost them.
        """
        places, kept = list(places), self._kept(opened)
        new = {one for one in places if self._may_assign(one, fixed)}
        places = [one for one in places if one in fixed or one in new or one.key in kept]
        assigned = assign_ports(places, fixed, kept, ports, reserved, new=new, lasting=self._lasting())
        self._is_short = False
        for place in places:
            port = assigned.get(place)
            if port is None:
                self._log_once(place, is_lacking=place in new)
            elif place in new and place not in fixed and not self.has(place, port):
                self._is_short = True
                self._claim(place, port)
        return assigned

    def has(self, place: Place, port: int) -> bool:
        """True if the store has this port for the place."""
        return self._stored.get(place.key) == port

    async def idle(self) -> None:
        """Wait until every new port is stored, or could not be."""
        await self._claims.idle()

    def stop(self) -> None:
        """Store nothing any more."""
        self._claims.cancel()

    def _may_assign(self, place: Place, fixed: Mapping[Place, int]) -> bool:
        """True if this gateway may give a place another port than the one that is stored.

        With several gateways an assigned port stays, unless it is the `escl_port` of another scanner.
        """
        stored = self._stored.get(place.key)
        return self.may_assign(place.scanner) and (
            self.is_known_elsewhere is None or stored is None or stored in fixed.values())

    def _kept(self, opened: Mapping[Place, int]) -> dict[str, int]:
        """The stored ports, and those that are open although the store has lost them."""
        taken = set(self._stored.values())
        return {**{place.key: port for place, port in opened.items() if port not in taken}, **self._stored}

    def _lasting(self) -> list[str] | None:
        """The keys of the ports that other gateways open; None without others."""
        is_known = self.is_known_elsewhere
        return None if is_known is None else [key for key in self._stored if is_known(key.partition(" ")[0])]

    def _claim(self, place: Place, port: int) -> None:
        """Store a new port, unless one is being stored for the place."""
        if place not in self._claimed:
            self._claimed.add(place)
            self._claims.run(self._store_port(place, port))

    async def _store_port(self, place: Place, port: int) -> None:
        key = place.key
        loser = next((known for known, one in self._stored.items() if one == port and known != key), None)
        try:
            if await self._store.keep_escl_port(key, port, self._stored.get(key), loser):
                self._stored = {known: one for known, one in self._stored.items() if one != port} | {key: port}
            else:  # another gateway was faster
                self._stored = await self._store.escl_ports()
            self.on_change()
        except NotNow as error:
            self.log.debug("{scanner}: it gets no eSCL port yet: {problem}", scanner=place.scanner, problem=str(error))
        except StoreError as error:
            self.log.error("{scanner}: storing its eSCL port failed: {problem}", scanner=place.scanner,
                           problem=str(error))
        finally:
            self._claimed.discard(place)

    def _log_once(self, place: Place, *, is_lacking: bool) -> None:
        """Log that a place has no port: none is left (`is_lacking`), or the one that it had is for something else."""
        if place in self._logged:
            return
        self._logged.add(place)
        if not is_lacking:
            self.log.error("{scanner}: it is not offered by eSCL {how}on a port of its own, because the port that was "
                           "assigned to it, {port}, is for something else in this configuration",
                           scanner=place.scanner, how="with TLS " if place.secure else "",
                           port=self._stored.get(place.key))
        else:
            self.log.error("{scanner}: it is not offered by eSCL {how}on a port of its own, because [escl] ports has "
                           "no port left; give a larger range", scanner=place.scanner,
                           how="with TLS " if place.secure else "")
