"""Compares two configurations: scanners that are added, changed or removed, and changes that need a restart."""

import attrs

from wsdgateway.config.sections import (
    Admin,
    Cluster,
    Config,
    Discovery,
    Escl,
    Gateway,
    Listen,
    ScannerConfig,
    UploadsConfig,
)

_IDENTIFYING = tuple(field.name for field in attrs.fields(ScannerConfig) if field.metadata.get("identifies"))
_FILES = ("certificate", "key", "client_ca")
_Section = Gateway | Discovery | Escl | UploadsConfig | Cluster
_AFTER_RESTART = "this takes effect after a restart"


@attrs.frozen
class Changes:
    """The differences to apply. `config` is the new configuration, with former values where a change needs a restart.

    `later` has a line for each change that needs a restart. `removed` holds names. Scanners that are not in `added`,
    `changed` or `removed` differ in their limits at most. `sections` names the sections with any difference.
    """

    config: Config
    added: tuple[ScannerConfig, ...]
    changed: tuple[ScannerConfig, ...]
    removed: tuple[str, ...]
    later: tuple[str, ...]
    sections: tuple[str, ...]


def compare(old: Config, new: Config) -> Changes:
    """Returns the changes from one configuration to the other."""
    before = {section.name: section for section in old.scanner if section.bridge}
    after = {section.name: section for section in new.scanner if section.bridge}
    added = tuple(section for name, section in after.items() if name not in before)
    changed = tuple(section for name, section in after.items() if name in before and _is_other(before[name], section))
    gateway = attrs.evolve(old.gateway, log_level=new.gateway.log_level, log_format=new.gateway.log_format)
    later = _later("gateway", gateway, new.gateway)
    listen = new.listen if [_port(one) for one in old.listen] == [_port(one) for one in new.listen] else old.listen
    if listen != new.listen:
        later.append(f"[[listen]] has changed; {_AFTER_RESTART}, except for the files of certificates")
    discovery = attrs.evolve(old.discovery, exclude=new.discovery.exclude)
    later += _later("discovery", discovery, new.discovery)
    escl = old.escl
    if (old.escl is None) is not (new.escl is None):
        later.append(f"[escl] has been {'removed' if new.escl is None else 'added'}; {_AFTER_RESTART}")
    elif old.escl is not None and new.escl is not None:
        escl = attrs.evolve(old.escl, announce=new.escl.announce, spool_size=new.escl.spool_size)
        if (old.escl.certificate is None) is (new.escl.certificate is None):
            escl = attrs.evolve(escl, certificate=new.escl.certificate, key=new.escl.key)
        later += _later("escl", escl, new.escl)
    admin = new.admin
    if _port(old.admin) != _port(new.admin):
        admin = attrs.evolve(new.admin, **{key: getattr(old.admin, key) for key in ("endpoint", *_FILES)})
        key = "endpoint" if old.admin.endpoint != new.admin.endpoint else "certificate"
        later.append(f"[admin] {key} has changed; {_AFTER_RESTART}")
    uploads = attrs.evolve(new.uploads, folder=old.uploads.folder)
    later += _later("uploads", uploads, new.uploads)
    later += _later("cluster", old.cluster, new.cluster)
    config = attrs.evolve(new, gateway=gateway, cluster=old.cluster, uploads=uploads, listen=listen,
                          discovery=discovery, admin=admin, escl=escl, unused_state=old.unused_state)
    sections = [field.name for field in attrs.fields(Config) if getattr(old, field.name) != getattr(config, field.name)]
    return Changes(config, added, changed, tuple(name for name in before if name not in after), tuple(later),
                   tuple(sections))


def _later(section: str, old: _Section, new: _Section) -> list[str]:
    return [f"[{section}] {field.name} has changed; {_AFTER_RESTART}" for field in attrs.fields(type(new))
            if getattr(old, field.name) != getattr(new, field.name)]


def _port(section: Listen | Admin) -> tuple[str, str | None, bool]:
    """Returns the part of a listener's section that cannot be changed while it is open."""
    advertise = section.advertise if isinstance(section, Listen) else None
    return section.endpoint, advertise, section.certificate is not None


def _is_other(old: ScannerConfig, new: ScannerConfig) -> bool:
    return any(getattr(old, key) != getattr(new, key) for key in _IDENTIFYING)
