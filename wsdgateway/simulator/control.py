"""The control interface of the virtual scanner: changes its state by HTTP, for tests and experiments.

`GET /control/` describes its state and the available actions, for browsers as a page with buttons. Each action is a
POST with its arguments in the query:
`curl -X POST 'http://127.0.0.1:8018/control/feeder?pages=5'`. Each kind of trouble in `conditions.KINDS` is an action.
"""

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.web.resource import Resource
from twisted.web.server import Request

from wsdgateway.config.wrong import shown
from wsdgateway.simulator.conditions import KINDS, MEDIA_JAM, Kind
from wsdgateway.simulator.controlpage import control_page
from wsdgateway.simulator.description import SOURCES
from wsdgateway.simulator.settings import EVENT_MODES
from wsdgateway.simulator.web import SoapResource, Troubles

HIGHEST = 100000  # pages or seconds


class _Mistake(Exception):
    """A request that cannot be performed. `status` is the HTTP status."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class _Arguments:
    """The arguments of an action. Raises `_Mistake`."""

    def __init__(self, request: Any) -> None:
        self._given = {name.decode("utf-8", "replace"): [value.decode("utf-8", "replace") for value in values]
                       for name, values in request.args.items()}

    def check(self, allowed: tuple[str, ...]) -> None:
        """Check that each argument is allowed and given once."""
        for name, values in self._given.items():
            if not allowed:
                raise _Mistake(f"{shown(name)}: must be left out, since this action has no arguments")
            if name not in allowed:
                raise _Mistake(f"{shown(name)}: must be {' or '.join(allowed)}")
            if len(values) != 1:
                raise _Mistake(f"{name}: must be given once")

    def text(self, name: str) -> str | None:
        """An argument; None if it is not given."""
        return self._given.get(name, [None])[0]

    def number(self, name: str, otherwise: float) -> float:
        """An argument that is a number of seconds."""
        return self._read(name, float, "a number", otherwise)

    def whole(self, name: str, otherwise: int, lowest: int = 0) -> int:
        """An argument that is a whole number."""
        return self._read(name, int, "a whole number", otherwise, lowest)

    def _read(self, name: str, kind: Callable[[str], Any], what: str, otherwise: float, lowest: int = 0) -> Any:
        value = self.text(name)
        if value is None:
            return otherwise
        try:
            number = kind(value)
        except ValueError:
            number = -1
        if not lowest <= number <= HIGHEST:
            raise _Mistake(f"{name} = {shown(value)}: must be {what} from {lowest} to {HIGHEST}")
        return number

    def choice(self, name: str, allowed: tuple[str, ...], otherwise: str) -> str:
        """An argument that is one of the allowed words."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _Mistake(f"{name} = {shown(value)}: must be one of "
                           f"{', '.join(word or 'nothing' for word in allowed)}")
        return otherwise if value is None else value


@attrs.frozen
class _Action:
    """An action, and the names of its arguments."""

    perform: Callable[[_Arguments], object]
    arguments: tuple[str, ...] = ()


class Control(Resource):
    """The resource that shows the state of the scanner and performs the actions."""

    isLeaf = True

    def __init__(self, soap: SoapResource, troubles: Troubles, reboot: Callable[[float], None]) -> None:
        super().__init__()
        self._soap = soap
        self._device = soap.device
        self._troubles = troubles
        self._actions = {
            **{name: _Action(self._beginning(kind), ("seconds",)) for name, kind in KINDS.items()},
            MEDIA_JAM.name: _Action(self._jam, ("seconds", "after")),
            "press": _Action(lambda given: self._device.press(
                given.text("context"), given.choice("source", (*SOURCES, ""), "Platen")), ("context", "source")),
            "clear": _Action(self._clear, ("what",)),
            "feeder": _Action(self._feeder, ("pages",)),
            "reboot": _Action(lambda given: reboot(given.number("seconds", 1.0)), ("seconds",)),
            "silent": _Action(lambda _: setattr(troubles, "silent", True)),
            "slow": _Action(lambda given: setattr(troubles, "slow", given.number("seconds", 1.0)), ("seconds",)),
            "break-image": _Action(lambda _: setattr(troubles, "break_image", True)),
            "events": _Action(self._events, ("mode",)),
        }

    def render(self, request: Request) -> bytes:
        try:
            name = "/".join(part.decode("latin-1") for part in request.postpath or [])
            is_browser = b"text/html" in (request.getHeader(b"accept") or b"")
            if not name and request.method in (b"GET", b"HEAD"):
                return self._page(request) if is_browser else self._say(request, self._state())
            result = self._perform(request, name)
            if is_browser:
                request.setResponseCode(303)
                request.setHeader(b"location", b"/control/")
            return self._say(request, {"done": name, "result": result})
        except _Mistake as mistake:
            request.setResponseCode(mistake.status)
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")
            return f"{mistake}\n".encode()

    def _perform(self, request: Request, name: str) -> object:
        action = self._actions.get(name)
        if action is None:
            what = f"the action {shown(name)}" if name else "the path after /control/"
            raise _Mistake(f"{what} must be one of {', '.join(sorted(self._actions))}", 404)
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            raise _Mistake(f"{name}: the method must be POST, as in curl -X POST", 405)
        arguments = _Arguments(request)
        arguments.check(action.arguments)
        return action.perform(arguments)

    def _state(self) -> dict[str, object]:
        device = self._device
        state, reasons = device.status.current
        return {
            "state": state,
            "reasons": reasons,
            "conditions": [condition.kind.reason for condition in device.status.conditions.active()],
            "trouble": [kind.name for kind in device.status.conditions.kinds()],
            "jobs": {job.job_id: job.status.state for job in (*device.jobs.finished(), *device.jobs.active())},
            "feeder": device.feeder,
            "jammed": device.jammed,
            "jam_after": device.jam_after,
            "silent": self._troubles.silent,
            "slow": self._troubles.slow,
            "events": device.subscribers.mode,
            "subscriptions": len(device.subscribers.held),
            "asked": dict(self._soap.asked),
            "actions": sorted(self._actions),
        }

    def _page(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        shown = {context: name for held in self._device.subscribers.held.values()
                 for context, name in held.names.items()}
        return control_page(self._state(), shown.items())

    def _say(self, request: Request, value: dict[str, object]) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"

    def _beginning(self, kind: Kind) -> Callable[[_Arguments], None]:
        return lambda given: self._device.begin(kind, given.number("seconds", kind.seconds))

    def _jam(self, given: _Arguments) -> None:
        if given.text("after") is None:
            self._device.begin(MEDIA_JAM, given.number("seconds", MEDIA_JAM.seconds))
        elif given.text("seconds") is not None:
            raise _Mistake("seconds: must be left out if after is given")
        else:
            self._device.jam_after = given.whole("after", 1, lowest=1)

    def _feeder(self, given: _Arguments) -> None:
        self._device.feeder = given.whole("pages", 3)

    def _clear(self, given: _Arguments) -> None:
        """End one kind of trouble, or all of them and every failure of the network interface."""
        what = given.choice("what", tuple(KINDS), "")
        self._device.clear(KINDS.get(what))
        if not what:
            self._device.jam_after = 0
            self._troubles.silent = self._troubles.break_image = False
            self._troubles.slow = 0.0

    def _events(self, given: _Arguments) -> None:
        self._device.subscribers.mode = given.choice("mode", EVENT_MODES, "all")
