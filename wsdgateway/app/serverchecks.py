"""Checks the settings of the server that gateways share, and learns their secret from it, once it answers."""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.app.sharedserver import SharedServer
from wsdgateway.storage.coordination import NotNow, is_away
from wsdgateway.storage.store import StoreError


class ServerChecks:
    """The checks of the server. `cannot_stay` is called with the reason if the server must not be used.

    `secret` is what the gateways show each other on the link, empty until it is known. `version` is the server's.
    """

    log = Logger()

    def __init__(self, shared: SharedServer, cannot_stay: Callable[[str], None]) -> None:
        self._shared = shared
        self._cannot_stay = cannot_stay
        self._is_checked = False
        self.is_refused = False
        self.secret = b""
        self.version: str | None = None

    async def look(self, lease: float) -> None:
        """Check the settings, unless that was done, and read the secret. `lease` is the length of a lease in seconds.

        A server that has lost the secret gets it back.
        """
        await self._check(lease)
        try:
            self.secret = (await self._shared.coordination.peer_secret()).hex().encode()
        except NotNow as error:
            self.log.debug("the secret of the gateways is not known: {error}", error=error)

    async def _check(self, lease: float) -> None:
        if self._is_checked:
            return
        try:
            facts = await self._shared.check(lease)
        except StoreError as error:
            if is_away(error):
                self.log.debug("the settings of the server are not known yet: {error}", error=error)
                return
            self.is_refused = True
            self._cannot_stay(str(error))
            return
        self._is_checked = True
        self.version = facts.version
        for warning in facts.warnings:
            self.log.warn("{warning}", warning=warning)
