"""The name of this gateway that the shared server refuses, because another one is registered by it."""

from collections.abc import Callable

from twisted.logger import Logger

NAME_PATIENCE = 1.0  # seconds beyond a lease after which a gateway with the same name is not its own earlier process


class TakenName:
    """The time for which the name has been taken.

    `lease` is the length of a lease in seconds; `boot_time` is the boot clock.
    """

    log = Logger()

    def __init__(self, lease: float, boot_time: Callable[[], float]) -> None:
        self._lease = lease
        self._boot_time = boot_time
        self._since: float | None = None

    def accepted(self) -> None:
        """Note that the server has accepted the name."""
        self._since = None

    def refused(self, name: str) -> str | None:
        """Note that the name is taken. Returns why the gateway must stop; None as long as it waits.

        It waits because the other one may be an earlier process of its own, whose registration runs out.
        """
        now = self._boot_time()
        if self._since is None:
            self._since = now
            self.log.warn("[cluster] name: another gateway is registered as {name}; waiting, since that may be an "
                          "earlier process of this one", name=name)
        elif now - self._since > self._lease + NAME_PATIENCE:
            return (f"[cluster] name: must be unique, but another gateway that runs is named {name}; give this one "
                    f"another name")
        return None
