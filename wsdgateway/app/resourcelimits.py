"""The limit on open files (RLIMIT_NOFILE, which includes sockets), and the share for each kind of connection.

No kind of connection may use the whole limit, so that some files are left for the others.
"""

import resource
from typing import Any

from twisted.logger import Logger

from wsdgateway.admin.connections import AdminLimits
from wsdgateway.config.sections import Config
from wsdgateway.net.server.protocols import Limits

NOFILE = 65536
# The rest is for notifications, devices, the store and the log.
CLIENTS_SHARE = 0.4
ADMIN_SHARE = 0.05

_log = Logger()


def open_files() -> int:
    """Raise the limit to the hard limit, and return the number of files that may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return NOFILE if hard == resource.RLIM_INFINITY else min(hard, NOFILE)


def client_limits(config: Config, files: int) -> Limits:
    """The limits of the HTTP server: as configured, but no more connections than their share of `files`."""
    limits = config.limits
    most = _bounded("[limits] connections", limits.connections, CLIENTS_SHARE, files)
    return Limits(limits.request_body, most, limits.keepalive_timeout, limits.header_timeout)


def client_quotas(config: Config) -> dict[str, Any]:
    """The arguments of `Quotas`."""
    limits = config.limits
    return {"requests": limits.client_requests, "connections": limits.client_connections, "jobs": limits.client_jobs,
            "unlimited": limits.unlimited}


def admin_limits(config: Config, files: int) -> AdminLimits:
    """The limits of the admin site: as configured, but no more connections than their share of `files`."""
    most = _bounded("[admin] connections", config.admin.connections, ADMIN_SHARE, files)
    return AdminLimits(most, config.limits.header_timeout, config.limits.keepalive_timeout)


def _bounded(key: str, wanted: int, share: float, files: int) -> int:
    most = min(wanted, max(1, int(files * share)))
    if most < wanted:
        _log.warn("{key} = {wanted}: using {most}, because the system limits this process to {files} open files; "
                  "raise LimitNOFILE in the systemd unit, or ulimit -n", key=key, wanted=wanted, most=most,
                  files=files)
    return most
