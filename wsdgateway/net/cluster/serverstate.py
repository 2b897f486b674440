"""The state of the shared server: whether it can be reached, and since when."""

from collections.abc import Callable

import attrs
from twisted.logger import Logger

from wsdgateway.durations import in_words
from wsdgateway.net.transport.logthrottle import LogThrottle


@attrs.frozen
class ServerState:
    """The state of the shared server. `since` is in seconds of the boot clock; `cause` is empty while it answers.

    Before the first answer or failure `is_reachable` is None.
    """

    is_reachable: bool | None
    since: float
    cause: str = ""


class ServerWatch:
    """Keeps the state of the server, and logs its changes, each at most once a minute."""

    log = Logger()

    def __init__(self, boot_time: Callable[[], float]) -> None:
        self._boot_time = boot_time
        self._throttle = LogThrottle()
        self._is_logged = False
        self.state = ServerState(None, boot_time())

    def answered(self) -> bool:
        """Note an answer. True if that is news."""
        former, now = self.state, self._boot_time()
        if former.is_reachable:
            return False
        self.state = ServerState(True, now)
        if former.is_reachable is None:
            self.log.info("Redis answers; the gateway takes part in the cluster")
        elif self._is_logged:
            self._is_logged = False
            self.log.info("Redis answers again after {lasted}", lasted=in_words(now - former.since))
        return True

    def failed(self, cause: str) -> bool:
        """Note a failure. True if that is news."""
        if self.state.is_reachable is False:
            self.state = attrs.evolve(self.state, cause=cause)
            return False
        now = self._boot_time()
        self.state = ServerState(False, now, cause)
        if self._throttle.allows("away", now):
            self._is_logged = True
            self.log.warn("Redis cannot be used: {cause}", cause=cause)
        return True
