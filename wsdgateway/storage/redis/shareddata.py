"""The data that all gateways on one Redis share: adopted scanners, MetadataVersions, the InstanceId, eSCL ports.

Each function makes one round trip, with a client of redis-py as its first argument, and raises that library's errors.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from redis import ResponseError

from wsdgateway.bridge.discovery.adoption import NAME, Adopted
from wsdgateway.storage.redis import keys, values
from wsdgateway.storage.redis.contents import VERSION, check_schema, checked, explained
from wsdgateway.storage.redis.fencing import Command
from wsdgateway.storage.redis.luascript import LuaScript
from wsdgateway.storage.store import Content, Unreadable

_KEYS = (keys.SCHEMA, keys.ADOPTED, keys.VERSIONS, keys.INSTANCE, keys.ESCL_PORTS)
_ADOPT, _INSTANCE, _VERSION, _PORT, _RESTORE = map(
    LuaScript, ("adopt", "instance", "version", "escl_port", "restore"))
_DAMAGED = re.compile(r"^(?:ERR )?user_script:|^WRONGTYPE")


def _run(redis: Any, script: LuaScript, names: Sequence[str], *arguments: Any) -> Any:
    try:
        return script.run(redis, names, arguments)
    except ResponseError as error:
        # A Lua error, or a key of another type. Others, such as READONLY, are those of a server that cannot serve.
        if _DAMAGED.search(str(error)):
            raise Unreadable(f"a value of {', '.join(names)} cannot be read: {error}; nothing was changed. Delete the "
                             "key, or restore a good copy") from None
        raise


def adopt(redis: Any, adopted: Adopted) -> bool:
    """Writes the name of an adopted scanner. Returns False if another one has the name."""
    return bool(_run(redis, _ADOPT, [keys.ADOPTED], adopted.uuid, adopted.name))


def abandon(redis: Any, uuid: str) -> None:
    redis.hdel(keys.ADOPTED, uuid)


def next_instance(redis: Any, now: int) -> int:
    return int(_run(redis, _INSTANCE, [keys.INSTANCE], now))


def metadata_version(redis: Any, endpoint: str, digest: str, first: int) -> int:
    """Counts the version of an endpoint; `first` is that of one without a version."""
    return int(_run(redis, _VERSION, [keys.VERSIONS], endpoint, digest, first))


def keep_port(redis: Any, scanner: str, port: int, former: int | None, loser: str | None) -> bool:
    """Writes a scanner's eSCL port. False if it has another one than `former`, or another one than `loser` has it."""
    return bool(_run(redis, _PORT, [keys.ESCL_PORTS], scanner, port, former or "", loser or ""))


def restore(redis: Any, known: Content) -> None:
    """Writes the numbers that are larger than the server's, and all data if the server has lost them."""
    _run(redis, _RESTORE, _KEYS, VERSION, _known(known))


def restoring(known: Content) -> Command:
    """Returns `restore` as a command."""
    return "EVAL", _RESTORE.text, len(_KEYS), *_KEYS, VERSION, _known(known)


def _known(known: Content) -> bytes:
    return values.write({
        "adopted": {one.uuid: {"name": one.name, "number": number} for number, one in enumerate(known.adopted, 1)},
        "ports": {scanner: str(port) for scanner, port in known.escl_ports},
        "versions": {endpoint: {"digest": digest, "version": version} for endpoint, digest, version in known.versions},
        "instance": known.instance or 0})


def read(redis: Any, where: str) -> Content:
    """Returns the shared data. Raises `Unreadable`."""
    pipeline = redis.pipeline(transaction=True)
    for command in reading():
        pipeline.execute_command(*command)
    return content_of(where, pipeline.execute(raise_on_error=False))


def reading() -> list[Command]:
    return [("GET", keys.SCHEMA), ("HGETALL", keys.ADOPTED), ("HGETALL", keys.VERSIONS), ("GET", keys.INSTANCE),
            ("HGETALL", keys.ESCL_PORTS)]


def content_of(where: str, replies: Iterable[Any]) -> Content:
    """Returns the content of the replies to `reading`. Raises `Unreadable`."""
    schema, adopted, versions, instance, ports = (
        checked(where, name, reply) for name, reply in zip(_KEYS, replies, strict=True))
    check_schema(where, schema)
    with explained(where, keys.ADOPTED):
        found = [(values.read(value), uuid.decode()) for uuid, value in adopted.items()]
        scanners = tuple(Adopted(uuid, _name(fields["name"])) for fields, uuid in sorted(
            found, key=lambda one: int(one[0]["number"])))
    with explained(where, keys.VERSIONS):
        counted = tuple((endpoint.decode(), str(fields["digest"]), _count(fields["version"])) for endpoint, fields in (
            (endpoint, values.read(value)) for endpoint, value in versions.items()))
    with explained(where, keys.INSTANCE):
        last = None if instance is None else _count(int(instance))
    with explained(where, keys.ESCL_PORTS):
        given = tuple((scanner.decode(), _port(int(port))) for scanner, port in ports.items())
    return Content(adopted=scanners, versions=counted, instance=last, escl_ports=given)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} must be the name of a scanner")
    return value


def _count(value: Any) -> int:
    if not 0 <= int(value) < 2**32:
        raise ValueError(f"{value!r} must be a number of 32 bits")
    return int(value)


def _port(value: int) -> int:
    if not 0 < value < 65536:
        raise ValueError(f"{value!r} must be a port")
    return value
