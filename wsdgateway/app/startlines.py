"""The lines that the gateway logs at its start: version, configuration, store, and the URLs for clients and people.

They are logged once every port has been tried, since the number of a port may be chosen by the system. A port that is
opened later is logged then.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.logger import Logger

from wsdgateway.app.listeners import Listeners
from wsdgateway.config.checks import without_password
from wsdgateway.config.sections import Config
from wsdgateway.net.transport.listener import Listener

MAX_NAMES = 10


class StartLines:
    """Logs the lines. `names` returns the names of the bridged scanners."""

    logger = Logger()

    def __init__(self, config: Config, version: str, ports: Listeners, names: Callable[[], Sequence[str]]) -> None:
        self._config = config
        self._version = version
        self._ports = ports
        self._names = names
        self._logged: set[Listener] = set()
        self._has_begun = False

    def tried(self) -> None:
        """Log what has not been logged yet, after an attempt to open a port."""
        listeners = (*self._ports.listeners, self._ports.admin)
        if not all(listener.tried for listener in listeners):
            return
        if not self._has_begun:
            self._has_begun = True
            self.logger.info("wsdgateway {version}, configuration: {file}, state: {state}", version=self._version,
                             file=self._file(), state=state_of(self._config))
        for listener in listeners:
            if listener.port is not None and listener not in self._logged:
                self._logged.add(listener)
                self._log_urls(listener)

    def _file(self) -> str:
        return str(self._config.folder / Path(self._config.file).name) if self._config.file else "none"

    def _log_urls(self, listener: Listener) -> None:
        try:
            urls = self._ports.urls(listener)
        except OSError as error:
            self.logger.warn("{endpoint}: its URLs are not known, because the addresses of this host cannot be read: "
                             "{error}", endpoint=listener.endpoint, error=str(error))
            return
        if listener is self._ports.admin:
            self.logger.info("Admin site: {urls}", urls=", ".join(f"{url}/" for url in urls))
            return
        names = self._names()
        name, listed = (names[0], "") if len(names) == 1 else ("NAME", f" (NAME: {listing(names)})" if names else "")
        self.logger.info("Clients: {urls}{names}", urls=", ".join(f"{url}/{name}/scan" for url in urls), names=listed)


def state_of(config: Config) -> str:
    """The place of the store as people read it: with the whole path, and without a password."""
    kind, _, where = config.gateway.state.partition(":")
    if kind == "memory":
        return "in memory only"
    return f"sqlite:{config.folder / where}" if kind == "sqlite" else str(without_password(config.gateway.state))


def listing(names: Sequence[str]) -> str:
    """The first `MAX_NAMES` names, and how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
