"""Access control of the admin site: clients, tokens, sessions and host names.

Without a token, only clients on this host are served; with one, every client must present it.

RFC 6750 section 2.1 (Bearer), RFC 6265 (cookies). A web page can make a browser send requests to any address under a
host name that the attacker controls (DNS rebinding), so the Host field is checked: IP addresses cannot be rebound, and
names must be configured.
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
_ADVICE = 'send it as "Authorization: Bearer TOKEN", or log in at /login.'
_PORT = re.compile(r":\d*\Z")
_BRACKETED = re.compile(r"\[([0-9a-f:.]+)(?:%25[\w.-]+)?\](?::\d*)?")


@attrs.frozen
class Denied:
    """The refusal of a request: its status, and a reason that says what to do.

    `login` is true if the login form would help. `retry_after` is in seconds. `wrong_token` is true if a token was
    presented and checked.
    """

    status: int
    reason: str
    login: bool = False
    retry_after: int | None = None
    wrong_token: bool = False


_MISSING = Denied(401, f"The token is missing; {_ADVICE}", login=True)
_WRONG = Denied(401, f"The token is wrong; {_ADVICE}", login=True, wrong_token=True)


def _bearer(authorization: bytes | None) -> bytes | None:
    """Return the token of an Authorization field, or None without one."""
    scheme, _, given = (authorization or b"").partition(b" ")
    return given.strip() if scheme.lower() == b"bearer" and given.strip() else None


class Access:
    """Decides which requests the admin site answers.

    If `token` is None, only clients on this host are allowed. `seconds` is a monotonic clock.
    """

    def __init__(self, token: str | None, hosts: tuple[str, ...], seconds: Callable[[], float]) -> None:
        self.token = token
        self.hosts = frozenset(("localhost", *hosts))
        self._seconds = seconds
        self._attempts = Attempts()
        self._sessions: OrderedDict[str, float] = OrderedDict()

    def check_host(self, host: bytes | None) -> Denied | None:
        """Return the refusal if the site is not known by the name in the Host field, else None.

        The field may be missing: HTTP/1.0 clients may omit it, and no browser does.
        """
        given = (host or b"").decode("latin-1").lower()
        address = _BRACKETED.fullmatch(given)
        name = given if address is not None else _PORT.sub("", given)
        if not name or name.removesuffix(".") in self.hosts or _is_address(name if address is None else address[1]):
            return None
        return Denied(421, f"This site is not served under the name {name[:100]}; add the name to [admin] hosts, or "
                           "use an IP address.")

    def check_client(self, client: str | None, authorization: bytes | None, session: bytes | None) -> Denied | None:
        """Return the refusal if a client at that IP address is not allowed, else None.

        A `client` of None is a local socket.
        """
        if self.token is None:
            if client is None or _is_loopback(client):
                return None
            return Denied(403, "Only clients on this host are allowed. To allow other clients, set [admin] token.")
        if session is not None and self._is_live(session.decode("latin-1")):
            return None
        bearer = _bearer(authorization)
        return _MISSING if bearer is None else self.check_token(client, bearer)

    def still_allows(self, client: str | None, authorization: bytes | None, session: bytes | None) -> bool:
        """True if a client that was admitted before is still allowed; does not count as a login attempt."""
        if self.token is None:
            return self.check_client(client, None, None) is None
        bearer = _bearer(authorization)
        return (session is not None and self._is_live(session.decode("latin-1"))) or (
            bearer is not None and self._is_token(bearer))

    def check_token(self, client: str | None, given: bytes) -> Denied | None:
        """Return the refusal if `given` is not the token, else None.

        After too many wrong tokens, a client must wait before its next one is checked.
        """
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
        """True if `given` is the token. Compares in constant time."""
        return self.token is not None and hmac.compare_digest(given, self.token.encode())

    def log_in(self) -> str:
        """Start a session for a client that has presented the token, and return its id."""
        session = secrets.token_urlsafe(32)
        self._sessions[session] = self._seconds() + SESSION_SECONDS
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def log_out(self, session: bytes | None) -> None:
        """End the session."""
        self._sessions.pop((session or b"").decode("latin-1"), None)

    def _is_live(self, session: str) -> bool:
        ends = self._sessions.get(session)
        if ends is None or ends <= self._seconds():
            self._sessions.pop(session, None)
            return False
        return True

    def change(self, token: str | None, hosts: tuple[str, ...]) -> None:
        """Replace the token and the host names. A new token ends every session."""
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
