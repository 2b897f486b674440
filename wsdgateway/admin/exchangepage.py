"""The page of one exchange: its properties and its two messages."""

from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, renderer, tags

from wsdgateway.admin.page import template
from wsdgateway.admin.tables import KINDS, result
from wsdgateway.admin.times import moment
from wsdgateway.exchangelog.entry import duration

_NAMES = {"scanner": "Scanner", "client": "Client", "action": "Action", "message_id": "MessageID", "job_id": "Job",
          "user": "User", "job_name": "Name of the job", "status": "HTTP status", "fault": "Fault",
          "capture": "Capture"}


class ExchangePage(Element):
    """The page of an exchange, with its messages as text. `now` is in seconds since 1970."""

    loader = template("exchange")

    def __init__(self, exchange: dict[str, Any], request: str, response: str, now: float) -> None:
        super().__init__()
        self._exchange = exchange
        self._request = request
        self._response = response
        self._now = now

    @renderer
    def heading(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._exchange["operation"])

    @renderer
    def facts(self, request: IRequest, tag: Tag) -> Tag:
        one = self._exchange
        facts: list[tuple[str, Any]] = [
            ("Time", moment(one["time"], self._now, precise=True)),
            *((name, one[key]) for key, name in _NAMES.items() if key in one),
            ("Result", result(one)), ("Kind", KINDS.get(one["source"], one["source"])),
            ("Size", f"{one['request_bytes']:,} bytes in, {one['response_bytes']:,} bytes out"),
            ("Duration", duration(one["seconds"]))]
        return tag(*[(tags.dt(name), tags.dd(_text(value))) for name, value in facts])

    @renderer
    def request_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._request)

    @renderer
    def response_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._response)


def _text(value: Any) -> Tag | str:
    return value if isinstance(value, Tag) else "–" if value is None else str(value)
