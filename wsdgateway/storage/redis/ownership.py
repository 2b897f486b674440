"""The commands of the coordination on a connection that waits for the answer: the scripts, and their answers as values.

Times at the server are whole milliseconds, times of the values are seconds.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import attrs
from redis.exceptions import ResponseError

from wsdgateway.bridge.cluster.values import (
    MAX_BASES,
    NO_TOKEN,
    Acquired,
    Owner,
    Refused,
    Registration,
    View,
    is_text,
)
from wsdgateway.http.urls import is_http
from wsdgateway.storage.coordination import NameTaken
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.luascript import LuaScript

WISH_SECONDS = 10.0
MAX_SECRET = 64  # bytes

_TICK, _ACQUIRE, _RELEASE, _WISH, _LEAVE, _RIGHTS = (
    LuaScript(name) for name in ("tick", "acquire", "release", "wish", "leave", "rights"))


def check_rights(redis: Any) -> None:
    """Raises an error of redis-py if the user lacks a right that gateways need, such as that to the bell."""
    _RIGHTS.run(redis, [keys.NONE], [keys.BELL])


def check_transactions(redis: Any) -> None:
    """Raises an error of redis-py if the user lacks the right to transactions, which a script cannot try."""
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("MULTI")
        pipeline.execute_command("EXEC")
        pipeline.execute()


def tick(redis: Any, registration: Registration, lease: float, grace: float, renewals: Mapping[str, int],
         scanners: Iterable[str]) -> View:
    """See `ICoordination.tick`. A new era has a grace of `grace` seconds. Raises `NameTaken` and errors of redis-py."""
    asked = dict.fromkeys(scanners, NO_TOKEN)
    names = {**asked, **renewals}
    outcome, *answer = _TICK.run(
        redis,
        [keys.ERA, keys.GATEWAYS, keys.WISHES, keys.gateway(registration.identifier), keys.name(registration.name),
         *map(keys.owner, names)],
        [_ms(lease), _ms(grace), registration.identifier, _written(registration), keys.gateway(""), *names.values()])
    if outcome == b"taken":
        raise NameTaken(f"cluster.name: another running gateway has the name {registration.name!r}: must be unique")
    time, era, left, registrations, found, wished = answer
    places = tuple(names)
    owners, renewed = {}, set()
    for line in found.decode(errors="replace").split("\n") if found else ():
        place, token, rest, is_renewed, identifier = line.split(" ", 4)
        scanner = places[int(place)]
        if scanner in asked:
            owners[scanner] = Owner(int(token), identifier, int(rest) / 1000)
        if is_renewed == "1":
            renewed.add(scanner)
    words = [word.decode(errors="replace") for word in wished]
    wishes = dict(zip(words[::2], words[1::2], strict=True))
    gateways = tuple(filter(None, map(_read, registrations)))
    return View(time / 1000, int(era), left / 1000, gateways, owners, frozenset(renewed),
                {scanner: gateway for scanner, gateway in wishes.items() if scanner in asked})


def acquire(redis: Any, scanner: str, identifier: str, lease: float, grace: float, mine: int,
            still_valid: bool) -> Acquired | Refused:
    """See `ICoordination.acquire`. A new era has a grace of `grace` seconds. Raises errors of redis-py."""
    outcome, time, *answer = _ACQUIRE.run(
        redis, [keys.ERA, keys.owner(scanner), keys.token(scanner), keys.events(scanner)],
        [_ms(lease), _ms(grace), identifier, mine, int(still_valid), keys.BELL])
    if outcome == b"acquired":
        return Acquired(int(answer[0]), time / 1000)
    left, *owned = answer
    owner = Owner(int(owned[0]), owned[1].decode(errors="replace"), owned[2] / 1000) if owned else None
    return Refused(owner, left / 1000, time / 1000)


def release(redis: Any, scanner: str, identifier: str, token: int) -> bool:
    """See `ICoordination.release`. Raises errors of redis-py."""
    return bool(_RELEASE.run(redis, [keys.ERA, keys.owner(scanner)], [token, identifier, keys.BELL]))


def wish(redis: Any, scanner: str, gateway: str) -> None:
    """Records a wish for `WISH_SECONDS`. Raises errors of redis-py."""
    _WISH.run(redis, [keys.WISHES], [scanner, gateway, _ms(WISH_SECONDS), keys.BELL])


def leave(redis: Any, identifier: str) -> None:
    """See `ICoordination.leave`. Raises errors of redis-py."""
    _LEAVE.run(redis, [keys.GATEWAYS, keys.gateway(identifier)], [identifier, keys.name(""), keys.BELL])


def peer_secret(redis: Any, proposed: bytes) -> bytes:
    """Returns the secret of the peer link; if the server has none, or no usable one, that is `proposed`.

    Raises errors of redis-py.
    """
    with redis.pipeline() as pipeline:
        pipeline.set(keys.PEER_SECRET, proposed, nx=True)
        pipeline.getrange(keys.PEER_SECRET, 0, MAX_SECRET)
        secret = pipeline.execute(raise_on_error=False)[1]
        if isinstance(secret, bytes) and 0 < len(secret) <= MAX_SECRET:
            return secret
        if isinstance(secret, Exception) and not (isinstance(secret, ResponseError) and "WRONGTYPE" in str(secret)):
            raise secret
        pipeline.set(keys.PEER_SECRET, proposed)
        pipeline.execute()
        return proposed


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


@lru_cache(16)  # a registration seldom changes, and has a digest for each of some hundred scanners
def _read(text: bytes) -> Registration | None:
    """The registration, which another version of the gateway may have written; None if it makes no sense."""
    try:
        made = json.loads(text)
        known = {field.name: made[field.name] for field in attrs.fields(Registration) if field.name in made}
        registration = Registration(**{
            **known, "unreachable": frozenset(known.get("unreachable", ())),
            "address": _url(known["address"]), "bases": tuple(filter(_url, known.get("bases", ())))[:MAX_BASES]})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return registration if _makes_sense(registration) else None


def _url(value: Any) -> Any:
    """The value; nothing in place of a text that is no URL, since nobody can be reached there."""
    return "" if is_text(value) and not is_http(value) else value


def _makes_sense(one: Registration) -> bool:
    texts = (one.identifier, one.name, one.address, one.version, *one.unreachable, *one.bases)
    return (all(map(is_text, texts)) and isinstance(one.holds_address, bool)
            and isinstance(one.lease, int | float)
            and _maps_to(str, one.sections) and _maps_to(int, one.alone))


def _maps_to(kind: type, mapping: object) -> bool:
    return isinstance(mapping, dict) and all(isinstance(value, kind) for value in mapping.values())


def _written(registration: Registration) -> str:
    return json.dumps({**attrs.asdict(registration, recurse=False), "sections": dict(registration.sections),
                       "unreachable": sorted(registration.unreachable)}, ensure_ascii=False, sort_keys=True)
