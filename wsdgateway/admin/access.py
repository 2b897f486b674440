"""Who may look at the admin site: this host, or whoever has the token; and under which names.

RFC 6750 section 2.1 (Bearer), RFC 6265 (cookies). A browser can be led to any address by a name of somebody else's (DNS
rebinding), so the Host field is checked: IP addresses can't be rebound, names must be known.
"""

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from math import ceil

import attrs

from wsdgateway.admin.attempts import Attempts
from wsdgateway.bridge.access.permission import plain_address

SESSION_SECONDS = 12 * 3600.0
MAX_SESSIONS = 1000
COOKIE = b"wsdgateway_session"
_ADVICE = "send it as Authorization: Bearer, or log in at /login."
_PORT = re.compile(r":\d*\Z")
_BRACKETED = re.compile(r"\[([0-9a-f:.]+)(?:%25[\w.-]+)?\](?::\d*)?")


@attrs.frozen
class Denied:
    """Why an address is not answered: a status, and what to do.

    `login`: the form would help. `retry_after` is in seconds. `wrong_token`: one was shown, and checked.
    """

    status: int
    reason: str
    login: bool = False
    retry_after: int | None = None
    wrong_token: bool = False


_MISSING = Denied(401, f"The token is missing; {_ADVICE}", login=True)
_WRONG = Denied(401, f"The token is wrong; {_ADVICE}", login=True, wrong_token=True)


def _bearer(authorization: bytes | None) -> bytes | None:
    """The token of an Authorization field; None without one."""
    scheme, _, given = (authorization or b"").partition(b" ")
    return given.strip() if scheme.lower() == b"bearer" and given.strip() else None


class Access:
    """`token` is asked of everybody, without one only this host is answered. `seconds` is a monotonic clock."""

    def __init__(self, token: str | None, hosts: tuple[str, ...], seconds: Callable[[], float]) -> None:
        self.token = token
        self.hosts = frozenset(("localhost", *hosts))
        self._seconds = seconds
        self._attempts = Attempts()
        self._sessions: OrderedDict[str, float] = OrderedDict()

    def check_host(self, host: bytes | None) -> Denied | None:
        """Whether the site is known by the name in a Host field. HTTP/1.0, and no browser, may do without."""
        given = (host or b"").decode("latin-1").lower()
        address = _BRACKETED.fullmatch(given)
        name = given if address is not None else _PORT.sub("", given)
        if not name or name.removesuffix(".") in self.hosts or _is_address(name if address is None else address[1]):
            return None
        return Denied(421, f"This site is not known as {name[:100]}; add the name to [admin] hosts, "
                           "or use its IP address.")

    def check_client(self, client: str | None, authorization: bytes | None, session: bytes | None) -> Denied | None:
        """Whether a client at that IP address may look; None stands for a local socket."""
        if self.token is None:
            if client is None or _is_loopback(client):
                return None
            return Denied(403, "Only this host is answered here. To allow others, set [admin] token.")
        if session is not None and self._is_live(session.decode("latin-1")):
            return None
        bearer = _bearer(authorization)
        return _MISSING if bearer is None else self.check_token(client, bearer)

    def still_allows(self, client: str | None, authorization: bytes | None, session: bytes | None) -> bool:
        """The same for a client that was let in before; what it has shown then is no new attempt."""
        if self.token is None:
            return self.check_client(client, None, None) is None
        bearer = _bearer(authorization)
        return (session is not None and self._is_live(session.decode("latin-1"))) or (
            bearer is not None and self._is_token(bearer))

    def check_token(self, client: str | None, given: bytes) -> Denied | None:
        """Whether that is the token. A client that has shown too many wrong ones must wait before one is looked at."""
        now = self._seconds()
        wait = self._attempts.wait(client, now)
        if wait > 0.0:
            return Denied(429, f"Too many wrong tokens; try again in {ceil(wait)} s.", retry_after=ceil(wait))
        if self._is_token(given):
            self._attempts.succeeded(client)
            return None
        self._attempts.failed(client, now)
        return _WRONG

    def _is_token(self, given: bytes) -> bool:
        """Whether that is the token, in the same time whatever it is."""
        return self.token is not None and hmac.compare_digest(given, self.token.encode())

    def log_in(self) -> str:
        """A new session, for whoever has shown the token."""
        session = secrets.token_urlsafe(32)
        self._sessions[session] = self._seconds() + SESSION_SECONDS
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def log_out(self, session: bytes | None) -> None:
        """The session is over."""
        self._sessions.pop((session or b"").decode("latin-1"), None)

    def _is_live(self, session: str) -> bool:
        ends = self._sessions.get(session)
        if ends is None or ends <= self._seconds():
            self._sessions.pop(session, None)
            return False
        return True

    def change(self, token: str | None, hosts: tuple[str, ...]) -> None:
        """Another token, or other names: with another token every session is over."""
        if token != self.token:
            self._sessions.clear()
            self._attempts.forget()
        self.token = token
        self.hosts = frozenset(("localhost", *hosts))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(client: str) -> bool:
    address = plain_address(client)
    return address is not None and address.is_loopback
