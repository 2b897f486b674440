"""The address `/api/cluster/move`: POST has another gateway take over a scanner, and answers when it has.

The body is a JSON object with the names `scanner` and `gateway`. The answer is one line of text. As for `/api/reload`,
a page in a browser must not cause it.
"""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

from wsdgateway.admin.cluster import problem_of
from wsdgateway.admin.reloading import is_from_a_page
from wsdgateway.admin.resources import TEXT, Made
from wsdgateway.bridge.cluster.state import CannotMove, ClusterState
from wsdgateway.storage.store import StoreError

MOVE_SECONDS = 40.0  # that the gateway has for the takeover; running scans end before it
_LOOK_SECONDS = 0.1  # between two looks at the owner
_MAX_SHOWN = 100  # characters of a name in an answer


class _Refusal(Exception):
    """The scanner is not moved; the status of HTTP, and one sentence with the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def move_resource(reactor: Any, state: Callable[[], ClusterState | None]) -> Made:
    """The resource of the address. `state` gives the cluster, None without one."""

    async def answer(request: Any) -> bytes:
        if is_from_a_page(request):
            request.setResponseCode(403)
            return b"A scanner cannot be moved by a web page; use wsdgateway cluster move.\n"
        try:
            said = await _move(reactor, state(), *_names(request.content.read()))
        except _Refusal as problem:
            request.setResponseCode(problem.status)
            said = str(problem)
        return f"{said}\n".encode("utf-8", "backslashreplace")

    return Made(TEXT, _how, answer)


def _names(body: bytes) -> tuple[str, str]:
    """The names of the scanner and of the gateway."""
    try:
        given = json.loads(body)
        names = given["scanner"], given["gateway"]
    except (ValueError, LookupError, TypeError, RecursionError):
        names = None, None
    scanner, gateway = names
    if not isinstance(scanner, str) or not isinstance(gateway, str):
        raise _Refusal(400, 'The body must be a JSON object such as {"scanner": "front-desk", "gateway": '
                               '"print-server-2"}.')
    return scanner, gateway


async def _move(reactor: Any, cluster: ClusterState | None, scanner: str, gateway: str) -> str:
    if cluster is None:
        raise _Refusal(409, "This gateway works without others; a scanner can be moved only if [gateway] state "
                               "names a Redis server.")
    known = [one.scanner for one in cluster.ownerships()]
    if scanner not in known:
        raise _Refusal(422, f"No scanner has the name {_shown(scanner)}; the scanners are "
                               f"{', '.join(known) or 'none'}.")
    there = next((one for one in cluster.gateways() if one.name == gateway), None)
    if there is None and not cluster.server().reachable:
        raise _Refusal(503, f"{scanner} is not moved: "
                               f"{problem_of(cluster.server()) or f'{cluster.server().url} has not answered yet'}")
    if there is None:
        raise _Refusal(422, f"No running gateway has the name {_shown(gateway)}; the gateways are "
                               f"{', '.join(one.name for one in cluster.gateways()) or 'none'}.")
    if there.configured and scanner not in there.configured:
        raise _Refusal(422, f"{gateway} has no [[scanner]] {scanner} in its configuration.")
    former = cluster.ownership(scanner).owner
    if former == gateway:
        raise _Refusal(409, f"{gateway} already owns {scanner}.")
    try:
        await cluster.wish(scanner, gateway)
    except (CannotMove, StoreError) as error:
        raise _Refusal(503, f"{scanner} is not moved: {error}") from None
    until = reactor.seconds() + MOVE_SECONDS
    while cluster.ownership(scanner).owner != gateway:
        if reactor.seconds() >= until:
            owner = cluster.ownership(scanner).owner
            raise _Refusal(504, f"{gateway} has not taken over {scanner} within {MOVE_SECONDS:g} s; "
                                   f"{'no gateway owns it now' if owner is None else f'{owner} owns it'}. The logs of "
                                   "both gateways have the reason.")
        await deferLater(reactor, _LOOK_SECONDS)
    return f"{gateway} owns {scanner} now."


def _shown(name: str) -> str:
    return json.dumps(name[:_MAX_SHOWN], ensure_ascii=False)


async def _how(request: Any) -> bytes:
    request.setResponseCode(405)
    request.setHeader(b"allow", b"POST")
    return b"Use POST to move a scanner to another gateway, or wsdgateway cluster move.\n"
