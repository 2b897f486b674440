"""Converts the values of the Redis store to JSON and back.

Each value is an object with named fields. Fields that a later version adds are ignored. `offset` is the server's time
minus that of this host, in seconds: ends of subscriptions are written in the server's time, because the next owner of
a scanner may be a host with another clock. Reading raises `BAD` for a value that is damaged.
"""

import json
from collections.abc import Iterable
from typing import Any

import attrs

from wsdgateway.bridge.cluster.values import is_text
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Token
from wsdgateway.bridge.events.upstreamcommands import Held, Shown
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.metadata.messages import Labels
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage.store import FinishedJob

# Errors of a damaged value; json.loads raises RecursionError for one with a thousand brackets.
BAD = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)

MAX_NUMBER = 2.0 ** 53  # larger ones are not exact
MAX_TIME = 2.0 ** 37  # seconds since 1970: the year 6325, which a date can still have

Fields = dict[str, Any]


def write(fields: Fields) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def read(value: bytes) -> Fields:
    """Returns the fields of a value."""
    fields = json.loads(value)
    if not isinstance(fields, dict):
        raise ValueError("it must be a JSON object")
    return fields


def _text(value: Any) -> str:
    if not is_text(value):
        raise ValueError(f"{value!r} must be a text")
    return str(value)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_NUMBER:  # NaN is not
        raise ValueError(f"{value!r} must be a number of at most {MAX_NUMBER:.0f}")
    return float(value)


def _time(value: Any) -> float:
    seconds = _number(value)
    if not 0.0 <= seconds <= MAX_TIME:
        raise ValueError(f"{value!r} must be a time in seconds since 1970, from 0 to {MAX_TIME:.0f}")
    return seconds


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} must be true or false")
    return value


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{values!r} must be a list")
    return tuple(map(_text, values))


def _reference(reference: EndpointReference) -> Fields:
    return {"address": reference.address, "parameters": list(reference.parameters)}


def _read_reference(fields: Fields) -> EndpointReference:
    return EndpointReference(_text(fields["address"]), _texts(fields["parameters"]))


def _sink(sink: Sink | None) -> Fields | None:
    return None if sink is None else {**_reference(sink.reference), "ip": sink.ip}


def _read_sink(fields: Fields) -> Sink:
    return Sink(_read_reference(fields), _text(fields["ip"]))


def write_subscription(one: Subscription, number: int, offset: float) -> bytes:
    """Returns a client's subscription as JSON; `number` gives its place in the order of the scanner's subscriptions."""
    return write({
        "number": number, "client": one.client, "manager": one.manager, "notify_to": _sink(one.notify_to),
        "end_to": _sink(one.end_to), "filter": one.filter.wanted, "expires_at": one.expires_at + offset,
        "panel": one.panel,
        "destinations": None if one.destinations is None else {
            "xml": one.destinations.xml, "listed": one.destinations.listed},
        "tokens": [attrs.asdict(token) for token in one.tokens]})


def read_subscription(scanner: str, identifier: str, value: bytes, offset: float) -> tuple[int, Subscription]:
    """Returns the number and the subscription."""
    fields = read(value)
    end_to, wanted, destinations = fields["end_to"], fields["filter"], fields["destinations"]
    return int(_number(fields["number"])), Subscription(
        identifier, scanner, _text(fields["client"]), _text(fields["manager"]), _read_sink(fields["notify_to"]),
        None if end_to is None else _read_sink(end_to), ActionFilter(None if wanted is None else _texts(wanted)),
        _time(fields["expires_at"]) - offset, _truth(fields["panel"]),
        None if destinations is None else Destinations(_text(destinations["xml"]), tuple(
            (_text(context), _text(name)) for context, name in destinations["listed"])),
        tuple(Token(_text(token["context"]), _text(token["given"]), _text(token["current"]))
              for token in fields["tokens"]))


def write_held(one: Held, offset: float) -> bytes:
    return write({"address": one.address, "notify_to": one.notify_to, "manager": _reference(one.manager),
                  "expires_at": one.expires_at + offset, "shown": [attrs.asdict(shown) for shown in one.shown]})


def read_held(scanner: str, identifier: str, value: bytes, offset: float) -> Held:
    fields = read(value)
    return Held(scanner, identifier, _text(fields["address"]), _text(fields["notify_to"]),
                _read_reference(fields["manager"]), _time(fields["expires_at"]) - offset,
                tuple(Shown(_text(shown["context"]), _text(shown["name"]), _text_or_none(shown["token"]))
                      for shown in fields.get("shown", ())))  # earlier versions did not write it


def write_own_job(job: OwnJob) -> bytes:
    # `answered` is compared with the scanner's clock, so it stays in this host's time, which should be right.
    return write({"job_id": job.job_id, "created": job.created, "answered": job.answered, "client": job.client})


def read_own_job(scanner: str, own_id: str, value: bytes) -> OwnJob:
    """Returns the job; one without `job_id` was written when jobs were listed by their JobId."""
    fields = read(value)
    answered = fields["answered"]
    return OwnJob(scanner, own_id, _text_or_none(fields.get("job_id", own_id)), _text_or_none(fields["created"]),
                  None if answered is None else _time(answered), _text(fields.get("client", "")))


def write_offer(offer: KeptOffer, number: int) -> bytes:
    """Returns an offer as JSON; `number` gives its place in the order of all scanners' offers."""
    return write({"number": number, "place": offer.place, "endpoint": offer.endpoint,
                  "labels": attrs.asdict(offer.labels), "elements": offer.elements})


def read_offer(scanner: str, value: bytes) -> tuple[int, KeptOffer]:
    """Returns the number and the offer."""
    fields = read(value)
    labels = Labels(**{name: _text(fields["labels"][name]) for name in attrs.fields_dict(Labels)})
    return int(_number(fields["number"])), KeptOffer(
        scanner, _text(fields["place"]), _text(fields["endpoint"]), labels, _text(fields["elements"]))


def write_finished(job: FinishedJob) -> bytes:
    fields = attrs.asdict(job)
    del fields["scanner"]
    return write(fields)


def read_finished(scanner: str, value: bytes) -> FinishedJob:
    fields = read(value)
    scans = fields["scans_completed"]
    return FinishedJob(
        scanner, _text(fields["job_id"]), _text(fields["state"]), _texts(fields["reasons"]),
        None if scans is None else int(_number(scans)), _text_or_none(fields["created"]),
        _text_or_none(fields["completed"]), _time(fields["finished"]), _truth(fields["superseded"]))
