"""Remarks about a configuration on this host: interfaces, addresses, certificates, and folders to write to."""

import errno
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from wsdgateway.bridge.frontends.escl.ports import Place, assign_ports
from wsdgateway.config.cluster import peer_listener
from wsdgateway.config.endpoints import Listening, identity_files, listening_place, own_identity_files
from wsdgateway.config.esclports import reserved_ports, shown_range
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.remarks import EVERY, Remark
from wsdgateway.config.sections import Config, Escl, ScannerConfig
from wsdgateway.net.destinations.folder import problem_with
from wsdgateway.net.transport.interfaces import read_interfaces
from wsdgateway.storage.inspecting import stored_escl_ports
from wsdgateway.storage.spool import is_spool_in_use, problem_with_spool
from wsdgateway.storage.uploads import problem_with_uploads
from wsdgateway.tls.identity import read_identity


def host_remarks(config: Config) -> list[Remark]:
    """The remarks about what the configuration needs of this host and its current user."""
    return [*_network(config), *_expiring(config), *_unwritable(config), *_spool(config), *_uploads(config),
            *_commands(config), *_taken(config), *_folders(config)]


def _listeners(config: Config) -> Iterator[tuple[str, tuple[str | int, ...], Listening]]:
    """Each section with an endpoint: its name, its path in the file, and the section itself."""
    yield from ((f"[[listen]] {position + 1}", ("listen", position), one) for position, one in enumerate(config.listen))
    yield "[admin]", ("admin",), config.admin
    peer = peer_listener(config.cluster)
    if peer is not None:
        yield "[cluster]", ("cluster",), peer


def _network(config: Config) -> Iterator[Remark]:
    """Remarks about interfaces and addresses that this host does not have at the moment."""
    try:
        interfaces = read_interfaces()
    except OSError as error:
        yield Remark((), f"cannot read the network interfaces, so they were not checked: {error}")
        return
    for key in ("device_interfaces", "client_interfaces"):
        yield from (Remark(("discovery", key), (
            f"[discovery] {key}: this host has no interface {name} with an address; it has {', '.join(interfaces)}"))
            for name in getattr(config.discovery, key) if name not in interfaces)
    addresses = {str(address.ip): address.is_loopback
                 for one in interfaces.values() for address in one.addresses}
    for section, path, one in _listeners(config):
        place = listening_place(one.endpoint)
        host = EVERY[0] if place is None else place[0].partition("%")[0]
        if host not in (*EVERY, *addresses) and not host.startswith("127."):
            known = ", ".join(address for address, is_loopback in addresses.items() if not is_loopback)
            yield Remark((*path, "endpoint"), (
                f"{section} endpoint = {one.endpoint}: this host does not have the address {host}; it has "
                f"{known or 'loopback addresses only'}"))


def _expiring(config: Config) -> Iterator[Remark]:
    """Remarks about certificates that have expired, or will soon."""
    for _, path, section in _listeners(config):
        files = identity_files(section, config.folder)
        remark = None if files is None else read_identity(files).remark(datetime.now(UTC))
        if files is not None and remark is not None:
            yield Remark((*path, "certificate"), (
                f"{section.endpoint}: the certificate in {files.certificate} {remark}"))
    own = None if config.escl is None else own_identity_files(config.escl, config.folder)
    remark = None if own is None else read_identity(own).remark(datetime.now(UTC))
    if own is not None and remark is not None:
        yield Remark(("escl", "certificate"), f"[escl]: the certificate in {own.certificate} {remark}")


def _spool(config: Config) -> Iterator[Remark]:
    """A remark about a spool that the gateway could not use; it would not start then."""
    problem = None if config.escl is None else problem_with_spool(config.spool)
    if problem is not None:
        yield Remark(("escl", "spool"), f"[escl] spool: {problem}")


def _commands(config: Config) -> Iterator[Remark]:
    """Remarks about commands of destinations that cannot be run."""
    for position, one in enumerate(config.destination):
        if one.command and not (os.path.isfile(one.command[0]) and os.access(one.command[0], os.X_OK)):
            yield Remark(("destination", position, "command"), (
                f'[[destination]] "{one.name}" command: {one.command[0]} must be a file that the user who runs this '
                "check can execute"))


def _uploads(config: Config) -> Iterator[Remark]:
    """A remark about a folder for uploads that the gateway could not use; it would not start then."""
    if any(one.upload is not None for one in config.destination):
        problem = problem_with_uploads(config.upload_folder)
        if problem is not None:
            yield Remark(("uploads", "folder"), f"[uploads] folder: {problem}")


def _taken(config: Config) -> Iterator[Remark]:
    """Remarks about ports of eSCL scanners that another program uses."""
    escl = config.escl
    if escl is None:
        return
    offered = [(position, one) for position, one in enumerate(config.scanner) if one.escl and one.bridge]
    for position, one in offered:
        if one.escl_port is not None and is_taken(one.escl_port):
            yield Remark(("scanner", position, "escl_port"), (
                f"[[scanner]] {one.name} escl_port = {one.escl_port}: the port is in use at the moment, unless by this "
                "gateway itself; give another one, since the gateway uses no other instead"))
    for place, port in _assigned(config, escl, [one for _, one in offered]).items():
        if is_taken(port):
            yield Remark(("escl", "ports"), (
                f"[escl] ports = {shown_range(escl.ports)}: port {port}, which is that of {place.scanner}"
                f"{' for TLS' if place.secure else ''}, is in use at the moment; end the program that uses it, or give "
                "a range without it, since the gateway uses no other instead"))


def _assigned(config: Config, escl: Escl, offered: list[ScannerConfig]) -> dict[Place, int]:
    """The ports of the range that the gateway would open, without those that it has open if it runs.

    Empty if these are not known: those in a Redis server, and those of a gateway that runs without a file for them.
    """
    kind, _, where = config.gateway.state.partition(":")
    runs = is_spool_in_use(config.spool)
    if is_redis(config.gateway.state) or (runs and kind != "sqlite"):
        return {}
    stored = stored_escl_ports(config.folder / where) if kind == "sqlite" else {}
    fixed = {Place(one.name): one.escl_port for one in offered if one.escl_port is not None}
    places = [Place(one.name, secure) for secure in (False, True) for one in offered
              if not secure or escl.certificate is not None]
    assigned = assign_ports(places, fixed, stored, escl.ports, reserved_ports(config))
    return {place: port for place, port in assigned.items()
            if place not in fixed and not (runs and stored.get(place.key) == port)}


def _folders(config: Config) -> Iterator[Remark]:
    """Remarks about folders of destinations that the current user could not write to."""
    for position, one in enumerate(config.destination):
        problem = None if one.folder is None else problem_with(config.folder / one.folder)
        if problem is not None:
            yield Remark(("destination", position, "folder"), f'[[destination]] "{one.name}" folder: {problem}')


def is_taken(port: int) -> bool:
    """True if a TCP port cannot be opened on all IPv4 addresses because it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _unwritable(config: Config) -> Iterator[Remark]:
    """Remarks about paths of the exchange log that the current user could not write to."""
    for key, name in (("path", config.exchange_log.path), ("capture", config.exchange_log.capture)):
        if name is not None:
            wanted, where = config.folder / name, ("exchange_log", key)
            there = next(folder for folder in (wanted, *wanted.parents) if os.path.exists(folder))
            if not os.access(there, os.W_OK) or (there != wanted and not there.is_dir()):
                yield Remark(where, f"[exchange_log] {key} = {name}: {there} is not writable for the user who runs "
                                    "this check")
            elif there not in (wanted, wanted.parent):
                yield Remark(where, f"[exchange_log] {key} = {name}: the folder {wanted.parent} does not exist; it "
                                    "will be created")
            elif there == wanted and there.is_dir() == (key == "path"):
                wrong = "file, but {} is a folder" if key == "path" else "folder, but {} is a file"
                yield Remark(where, f"[exchange_log] {key} = {name}: must be a {wrong.format(there)}")
