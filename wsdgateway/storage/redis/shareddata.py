"""The data that all gateways on one Redis share: adopted scanners, MetadataVersions, the InstanceId, eSCL ports.

Each function makes one round trip, with a client of redis-py as its first argument, and raises that library's errors.
"""

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import redis

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage.redis import values
from wsdgateway.storage.redis.contents import PREFIX, SCHEMA, VERSION, Command, check_schema, checked, explained
from wsdgateway.storage.store import Content, Unreadable

ADOPTED, VERSIONS, INSTANCE, PORTS = (
    f"{PREFIX}adopted", f"{PREFIX}versions", f"{PREFIX}instance", f"{PREFIX}escl-ports")
_KEYS = (SCHEMA, ADOPTED, VERSIONS, INSTANCE, PORTS)

_DAMAGED = re.compile(r"^(?:ERR )?user_script:|^WRONGTYPE")


def _run(connection: Any, script: str, keys: list[str], *arguments: object) -> Any:
    text = (files("wsdgateway.storage.redis") / "scripts" / f"{script}.lua").read_text("utf-8")
    try:
        return connection.eval(text, len(keys), *keys, *arguments)
    except redis.ResponseError as error:
        # A Lua error, or a key of another type; other errors, such as READONLY, are those of a server that cannot serve.
        if _DAMAGED.search(str(error)):
            raise Unreadable(f"a value of {', '.join(keys)} cannot be read: {error}; nothing was changed. Delete the "
                             "key, or restore a good copy") from None
        raise


def adopt(connection: Any, adopted: Adopted) -> bool:
    """Writes the name of an adopted scanner. Returns False if another one has the name."""
    return bool(_run(connection, "adopt", [ADOPTED], adopted.uuid, adopted.name))


def abandon(connection: Any, uuid: str) -> None:
    connection.hdel(ADOPTED, uuid)


def next_instance(connection: Any, now: int) -> int:
    return int(_run(connection, "instance", [INSTANCE], now))


def metadata_version(connection: Any, endpoint: str, digest: str, first: int) -> int:
    """Counts the version of an endpoint; `first` is that of one without a version."""
    return int(_run(connection, "version", [VERSIONS], endpoint, digest, first))


def keep_port(connection: Any, scanner: str, port: int) -> None:
    _run(connection, "port", [PORTS], scanner, port)


def restore(connection: Any, known: Content) -> None:
    """Writes what is larger than what the server has, and everything if the server has lost its data."""
    _run(connection, "restore", list(_KEYS), VERSION, values.write({
        "adopted": {one.uuid: {"name": one.name, "number": number} for number, one in enumerate(known.adopted, 1)},
        "ports": {scanner: str(port) for scanner, port in known.escl_ports},
        "versions": {endpoint: {"digest": digest, "version": version} for endpoint, digest, version in known.versions},
        "instance": known.instance or 0}))


def read(connection: Any, where: str) -> tuple[Content, bool]:
    """Returns the shared data, and whether the server has any data of gateways at all. Raises `Unreadable`."""
    pipeline = connection.pipeline(transaction=True)
    for command in reading():
        pipeline.execute_command(*command)
    return content_of(where, pipeline.execute(raise_on_error=False))


def reading() -> list[Command]:
    return [("GET", SCHEMA), ("HGETALL", ADOPTED), ("HGETALL", VERSIONS), ("GET", INSTANCE), ("HGETALL", PORTS)]


def content_of(where: str, replies: Iterable[Any]) -> tuple[Content, bool]:
    """Returns what the replies to `reading` contain, as `read` does."""
    schema, adopted, versions, instance, ports = (
        checked(where, name, reply) for name, reply in zip(_KEYS, replies, strict=True))
    check_schema(where, schema)
    with explained(where, ADOPTED):
        found = [(values.read(value), uuid.decode()) for uuid, value in adopted.items()]
        scanners = tuple(Adopted(uuid, str(fields["name"])) for fields, uuid in sorted(
            found, key=lambda one: int(one[0]["number"])))
    with explained(where, VERSIONS):
        counted = tuple((endpoint.decode(), str(fields["digest"]), int(fields["version"])) for endpoint, fields in (
            (endpoint, values.read(value)) for endpoint, value in versions.items()))
    with explained(where, INSTANCE):
        last = None if instance is None else int(instance)
    with explained(where, PORTS):
        given = tuple((scanner.decode(), int(port)) for scanner, port in ports.items())
    return Content(adopted=scanners, versions=counted, instance=last, escl_ports=given), schema is not None
