"""The eSCL side of the gateway: its spool, and the names under which clients reach it."""

import socket
import uuid
from urllib.parse import urlsplit

from twisted.logger import Logger

from wsdgateway.app.gatewayid import announced_hosts
from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.scanjobs.room import CLIENT_SHARE, Room
from wsdgateway.config.sections import Config, Escl
from wsdgateway.metrics import Metrics
from wsdgateway.net.context import EsclContext
from wsdgateway.net.conversion import Converter
from wsdgateway.storage.spool import Spool
from wsdgateway.storage.store import StoreError


class SpoolUnusable(Exception):
    """The spool's folder cannot be used; the text says why."""


def make_spool(config: Config) -> tuple[Spool, Room]:
    """The spool of the gateway's own scan jobs, which is not open yet, and the room in it."""
    return Spool(config.spool), Room(*_limits(config.escl or Escl()), client_of)


def _limits(escl: Escl) -> tuple[int, int]:
    """The size of the spool, and the part of it that one client may use, in bytes."""
    return escl.spool_size, int(escl.spool_size * CLIENT_SHARE)


def open_spool(config: Config, spool: Spool, room: Room, converter: Converter, metrics: Metrics) -> EsclContext | None:
    """Open the spool, and delete the pages of an earlier start; returns None without `[escl]`.

    Raises `SpoolUnusable`.
    """
    if config.escl is None:
        return None
    try:
        deleted = spool.open()
    except StoreError as error:
        raise SpoolUnusable(str(error)) from None
    if deleted:
        Logger().info("{folder}: deleted {count} page(s) of an earlier start from the spool", folder=str(spool.folder),
                      count=deleted)
    metrics.watch_spool(lambda: room.unfetched, lambda: room.limit)
    return EsclContext(spool, room, converter, set(host_names(config)), lambda: str(uuid.uuid4()))


def configure_escl(shared: EsclContext | None, config: Config) -> None:
    """Use another configuration."""
    if shared is not None and config.escl is not None:
        shared.names.clear()
        shared.names.update(host_names(config))
        shared.room.resize(*_limits(config.escl))


def is_for_escl(path: bytes) -> bool:
    """True for a path below `/NAME/eSCL`. Clients write the body of any answer into their image file."""
    return path[1:].partition(b"/")[2].startswith(b"eSCL/")


def host_names(config: Config) -> frozenset[str]:
    """The names under which clients may reach this gateway, in lower case."""
    own = {socket.gethostname(), socket.gethostname().partition(".")[0], config.gateway.name}
    advertised = {urlsplit(listen.advertise).hostname or "" for listen in config.listen if listen.advertise}
    return frozenset(name.lower() for name in (
        *own, *(f"{name}.local" for name in own), *advertised, *config.admin.hosts, *announced_hosts(config)) if name)
