"""The start of the scanners, once the ports are known at which they and clients reach this gateway."""

from collections.abc import Callable, Iterable

from wsdgateway.net.transport.listener import Listener


class Startup:
    """Waits until every listener was tried, and one for clients is open.

    `listeners` returns those of the configuration, `clients` are those for clients among them, and `escl` returns those
    of single eSCL scanners. `begin` is then called, once.
    """

    def __init__(self, listeners: Callable[[], list[Listener]], clients: list[Listener],
                 escl: Callable[[], Iterable[Listener]], begin: Callable[[], None]) -> None:
        self._listeners = listeners
        self._clients = clients
        self._escl = escl
        self._begin = begin
        self._has_begun = False

    def refused(self) -> list[Listener]:
        """The listeners that can never open, so that the gateway cannot start."""
        # The port of an eSCL scanner that is added later is no reason to end.
        return [*(one for one in self._listeners() if one.is_refused),
                *([] if self._has_begun else [one for one in self._escl() if one.is_refused])]

    @property
    def was_tried(self) -> bool:
        """True if every listener of the configuration was tried."""
        return all(listener.tried for listener in self._listeners())

    def look(self) -> None:
        """Begin if that is possible now; to be called after each attempt to open a port, unless one is refused."""
        if not self._has_begun and self.was_tried and any(listener.port is not None for listener in self._clients):
            self._has_begun = True
            self._begin()
