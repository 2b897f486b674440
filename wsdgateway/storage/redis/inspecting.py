"""Looks at a Redis server: its version, and the settings under which data or leases could be lost."""

import threading
from typing import Any

import attrs

from wsdgateway.storage.coordination import DEADLINE
from wsdgateway.storage.redis.address import ServerAddress
from wsdgateway.storage.redis.checks import check_sentinels, check_server
from wsdgateway.storage.redis.connecting import ERRORS, Server, no_answer, not_now
from wsdgateway.storage.store import StoreError

INSPECTION_SECONDS = 3 * DEADLINE  # to find the server, to connect, and for all answers


@attrs.frozen
class ServerFacts:
    """The version of the server's software, and warnings, each of which names the server.

    The version of software other than Redis begins with its name: "valkey 8.1.1".
    """

    version: str
    warnings: tuple[str, ...]

    @property
    def software(self) -> str:
        """The name and version of the software."""
        return self.version if " " in self.version else f"Redis {self.version}"


def read_facts(redis: Any, address: ServerAddress, lease: float) -> ServerFacts:
    """Reads the facts in a thread of the client. `lease` is that of owners, in seconds.

    Raises `StoreError` if the server must not be used, and errors of redis-py.
    """
    warnings = [*check_server(redis, address), *check_sentinels(Server(address, DEADLINE), address, lease)]
    info = redis.info("server")
    name, version = info.get("server_name"), info.get("valkey_version")
    return ServerFacts(f"{name} {version}" if name and version else str(info.get("redis_version", "")), tuple(warnings))


def inspect_server(address: ServerAddress, lease: float) -> ServerFacts:
    """Connects to the server, and reads the facts. Blocks for at most `INSPECTION_SECONDS`.

    `lease` is that of owners, in seconds.

    Raises `StoreError` if the server must not be used, and `NotNow` if it cannot be reached or cannot serve.
    """
    server, found = Server(address, DEADLINE), _Found()
    thread = threading.Thread(target=lambda: found.fill(server, address, lease), name="redis-inspection", daemon=True)
    thread.start()
    thread.join(INSPECTION_SECONDS)
    if thread.is_alive():
        server.break_off()
        raise no_answer(address, INSPECTION_SECONDS)
    if found.facts is None:
        raise found.error or StoreError(f"{address.text}: cannot be inspected")
    return found.facts


class _Found:
    """The result of a thread."""

    facts: ServerFacts | None = None
    error: Exception | None = None

    def fill(self, server: Server, address: ServerAddress, lease: float) -> None:
        try:
            self.facts = read_facts(server.redis(), address, lease)
        except StoreError as error:
            self.error = error
        except ERRORS as error:
            self.error = not_now(address, error, DEADLINE)
        finally:
            server.disconnect()
