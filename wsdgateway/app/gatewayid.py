"""Identifies this gateway among others, and names the hosts that are announced for it by DNS-SD."""

import socket
from pathlib import Path

from wsdgateway.config.cluster import name_in_cluster
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.sections import Config
from wsdgateway.net.dnssd.announcer import host_name

MACHINE = Path("/etc/machine-id")


def gateway_id(config: Config) -> str:
    """A text that no other gateway has, and that stays the same over restarts."""
    try:
        machine = MACHINE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    name = f"/{name_in_cluster(config)}" if is_redis(config.gateway.state) else ""
    return f"{socket.gethostname()}/{machine}/{config.folder.resolve()}/{config.gateway.state}{name}"


def announced_hosts(config: Config) -> set[str]:
    """The host names that are announced for this gateway, one for each client interface."""
    return {host_name(gateway_id(config), interface) for interface in config.discovery.client_interfaces}
