"""Chooses what the page for browsers shows, by the address that was opened and by the client."""

from collections.abc import Callable, Iterable
from typing import Protocol

from wsdgateway.bridge.access.permission import Permission, plain_address
from wsdgateway.bridge.frontends.browserpage import Guide, wants_html, write_guide
from wsdgateway.bridge.frontends.soaphttp import POST_ONLY
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.net.server.exchange import Exchange


class Scanner(Protocol):
    """The property of a scanner that the page uses."""

    @property
    def name(self) -> str:
        """The name in its address."""


class BrowserPage:
    """The page for browsers. It names the `scanners` at the addresses of this gateway.

    `admin` returns the URL of the admin site, None while it has none; only clients on this host are told. `manual` is
    the URL of the manual, if it has one.
    """

    def __init__(self, scanners: Callable[[], Iterable[Scanner]], permission: Permission,
                 admin: Callable[[], str | None], manual: str | None) -> None:
        self._scanners = scanners
        self._permission = permission
        self._admin = admin
        self._manual = manual

    def answer(self, exchange: Exchange, refusal: HTTPAnswer) -> HTTPAnswer:
        """The answer to a GET or HEAD that was refused: the page if a browser opened an address that requires POST."""
        if refusal is not POST_ONLY or not wants_html(exchange.request.headers):
            return refusal
        names = [scanner.name for scanner in self._scanners()
                 if self._permission.allows(exchange.client, scanner.name, "Probe")]
        opened = exchange.request.path.split(b"/")[1].decode("ascii", "replace")
        of_one = opened in {scanner.name for scanner in self._scanners()}
        address = plain_address(exchange.client)
        is_local = address is not None and address.is_loopback
        return write_guide(Guide(
            exchange.base(), [name for name in names if name == opened] if of_one else names,
            f"Scanner {opened}" if of_one else "Scanners of this gateway",
            admin=self._admin() if is_local else None, manual=self._manual))
