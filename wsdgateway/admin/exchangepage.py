"""The page of one exchange: its properties and its two messages."""

from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, renderer, tags

from wsdgateway.admin.page import template
from wsdgateway.admin.tables import KINDS, result
from wsdgateway.admin.times import moment
from wsdgateway.exchangelog.entry import duration

_NAMES = {"status": "HTTP status", "fault": "Fault", "client": "Client", "job_id": "Job", "user": "User",
          "job_name": "Name of the job", "action": "Action", "message_id": "MessageID", "capture": "Capture"}


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
        one, scanner = self._exchange, self._exchange["scanner"]
        facts: list[tuple[str, Any]] = [
            ("Time", tags.span(moment(one["time"], self._now, precise=True), " ",
                               tags.span(f"({one['time']})", class_="quiet"))), ("Result", result(one)),
            ("Kind", KINDS.get(one["source"], one["source"])),
            ("Scanner", tags.a(tags.bdi(scanner), href=f"/scanners/{scanner}") if scanner else None),
            *((name, one.get(key)) for key, name in _NAMES.items()),
            ("Size", f"{one['request_bytes']:,} bytes in, {one['response_bytes']:,} bytes out"),
            ("Duration", duration(one["seconds"]))]
        return tag(*[(tags.dt(name), tags.dd(value if isinstance(value, Tag) else tags.bdi(str(value))))
                     for name, value in facts if value is not None])

    @renderer
    def request_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._request)

    @renderer
    def response_body(self, request: IRequest, tag: Tag) -> Tag:
        return tag(self._response)

