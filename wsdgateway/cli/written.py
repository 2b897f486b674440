"""Remarks about paths that the gateway writes to, and that the sandbox of its systemd unit does not let it write."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from wsdgateway.cli.serviceunit import UNIT, ServiceUnit
from wsdgateway.config.positions import TomlPath
from wsdgateway.config.remarks import Remark
from wsdgateway.config.sections import Config


@attrs.frozen
class Written:
    """A folder that the gateway writes to, and the key that gives it."""

    place: TomlPath
    key: str
    folder: Path


def written_folders(config: Config) -> Iterator[Written]:
    """Each folder that the configuration has the gateway write to."""
    kind, _, where = config.gateway.state.partition(":")
    if kind == "sqlite":
        yield Written(("gateway", "state"), "[gateway] state", (config.folder / where).parent)
    if config.escl is not None:
        yield Written(("escl", "spool"), "[escl] spool", config.spool)
    if any(one.upload is not None for one in config.destination):
        yield Written(("uploads", "folder"), "[uploads] folder", config.upload_folder)
    yield from destination_folders(config)
    log = config.exchange_log
    if log.path is not None:
        yield Written(("exchange_log", "path"), "[exchange_log] path", (config.folder / log.path).parent)
    if log.capture is not None:
        yield Written(("exchange_log", "capture"), "[exchange_log] capture", config.folder / log.capture)


def destination_folders(config: Config) -> Iterator[Written]:
    """The folder of each destination that has one."""
    for position, one in enumerate(config.destination):
        if one.folder is not None:
            yield Written(("destination", position, "folder"), f'[[destination]] "{one.name}" folder',
                          Path(os.path.abspath(config.folder / one.folder)))


def sandbox_remarks(unit: ServiceUnit, written: Iterable[Written]) -> Iterator[Remark]:
    """A remark for each folder that the unit does not let the gateway write, with the line to add.

    Also for each that is in the unit's own temporary folders.
    """
    name = UNIT.removesuffix(".service")
    for one in written:
        if unit.is_private(one.folder):
            yield Remark(one.place, (
                f"{one.key}: {UNIT} has a /tmp and a /var/tmp of its own (PrivateTmp), so that no other program finds "
                f"the files in {one.folder}, and they are removed when it stops; choose another folder"))
        elif unit.shuts(one.folder):
            yield Remark(one.place, (
                f"{one.key}: the sandbox of {UNIT} does not let the gateway write in {one.folder}; create the folder, "
                f"run systemctl edit {name}, and add below [Service]: {unit.cure(one.folder)}"))
