"""The control interface of the virtual scanner: changes its state by HTTP, for tests and experiments.

`GET /control/` describes its state and the available actions. Each action is a POST with its arguments in the query:
`curl -X POST 'http://127.0.0.1:8018/control/feeder?pages=5'`.
"""

import json
from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

from wsdgateway.simulator.settings import EVENT_MODES
from wsdgateway.simulator.web import SoapResource, Troubles


class _BadArgument(Exception):
    pass


def _number(request: Any, name: str, otherwise: float) -> float:
    value = request.args.get(name.encode(), [str(otherwise).encode()])[0]
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100000:
        raise _BadArgument(f"{name} must be a number from 0 to 100000")
    return number


class Control(Resource):
    """The resource that shows the state of the scanner and performs the actions."""

    isLeaf = True

    def __init__(self, soap: SoapResource, troubles: Troubles, reboot: Callable[[float], None]) -> None:
        super().__init__()
        self._soap = soap
        self._device = soap.device
        self._troubles = troubles
        self._deeds: dict[str, Callable[[Request], object]] = {
            "press": self._press, "jam": lambda _: self._device.jam(),
            "cover": lambda _: self._device.open_cover(), "clear": self._clear,
            "feeder": self._feeder, "reboot": lambda request: reboot(_number(request, "seconds", 1.0)),
            "silent": lambda _: setattr(troubles, "silent", True),
            "slow": lambda request: setattr(troubles, "slow", _number(request, "seconds", 1.0)),
            "break-image": lambda _: setattr(troubles, "break_image", True), "events": self._events,
        }

    def render_GET(self, request: Request) -> bytes:
        return self._say(request, {
            "jobs": {job.job_id: job.status.state
                     for job in (*self._device.jobs.finished(), *self._device.jobs.active())},
            "feeder": self._device.feeder,
            "jammed": self._device.jammed,
            "conditions": [condition.name for condition in self._device.conditions.active()],
            "silent": self._troubles.silent,
            "slow": self._troubles.slow,
            "events": self._device.subscribers.mode,
            "subscriptions": len(self._device.subscribers.held),
            "asked": dict(self._soap.asked),
            "deeds": sorted(self._deeds),
        })

    def render_POST(self, request: Request) -> bytes:
        name = request.path.decode("latin-1").rpartition("/")[2]
        deed = self._deeds.get(name)
        if deed is None:
            request.setResponseCode(404)
            return self._say(request, {"error": f"unknown action; must be one of {', '.join(sorted(self._deeds))}"})
        try:
            return self._say(request, {"done": name, "result": deed(request)})
        except _BadArgument as error:
            request.setResponseCode(400)
            return self._say(request, {"error": str(error)})

    def _say(self, request: Request, value: dict[str, object]) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(value).encode() + b"\n"

    def _press(self, request: Any) -> int:
        context = request.args.get(b"context", [None])[0]
        return self._device.press(None if context is None else context.decode("utf-8", "replace"))

    def _feeder(self, request: Request) -> None:
        self._device.feeder = int(_number(request, "pages", 3))

    def _clear(self, request: Request) -> None:
        """Remove every jam, open cover and trouble."""
        self._device.clear()
        self._troubles.silent = self._troubles.break_image = False
        self._troubles.slow = 0.0

    def _events(self, request: Any) -> None:
        mode = request.args.get(b"mode", [b"all"])[0].decode("latin-1")
        if mode not in EVENT_MODES:
            raise _BadArgument(f"mode must be one of {', '.join(EVENT_MODES)}")
        self._device.subscribers.mode = mode
