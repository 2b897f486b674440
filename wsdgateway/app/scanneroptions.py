"""Makes the options of a bridged scanner from its section and the sections that hold for all scanners."""

from urllib.parse import urlsplit

from wsdgateway.config.cluster import name_in_cluster
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.net.scanners.options import ScannerOptions


def make_options(section: ScannerConfig, config: Config, *, is_shared: bool) -> ScannerOptions:
    """The options of a scanner. `is_shared` is true if several gateways share the scanners."""
    return ScannerOptions(
        section, config.cache, config.events, section.trust(config.folder),
        announced=bool(config.discovery.client_interfaces), by_escl=config.escl is not None and section.escl,
        suffix=config.discovery.suffix,
        authorities=frozenset(
            urlsplit(listen.advertise).netloc.lower() for listen in config.listen if listen.advertise),
        served=_served(config, is_shared=is_shared),
        source=config.cluster.source or "")


def _served(config: Config, *, is_shared: bool) -> str:
    """The addresses for clients, as far as they are known, whose change makes another MetadataVersion.

    If several gateways share the scanner, they are the same at the next owner, unless none of them is shared.
    """
    shared = [listen for listen in config.listen if listen.advertise] if is_shared else []
    if shared:
        return " ".join(sorted({f"{listen.advertise}" for listen in shared}))
    own = " ".join(f"{listen.endpoint} {listen.advertise}" + (
        " TLS" if listen.certificate else "") for listen in config.listen)
    return f"{name_in_cluster(config)} {own}" if is_shared else own
