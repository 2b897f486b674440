"""Logs remarks about the certificates of listeners, and reads them again at a reload."""

from datetime import UTC, datetime

from twisted.logger import Logger

from wsdgateway.tls.identity import BadIdentity, CurrentIdentity, IdentityFiles


def remark_on(log: Logger, where: str, identity: CurrentIdentity | None, now: float) -> None:
    """Log a warning if a certificate has expired or expires soon. `now` is in seconds since 1970."""
    remark = None if identity is None else identity.identity.remark(datetime.fromtimestamp(now, UTC))
    if remark is not None:
        log.warn("{endpoint}: the certificate {remark}", endpoint=where, remark=remark)


def reload_identity(log: Logger, where: str, identity: CurrentIdentity, files: IdentityFiles, now: float) -> None:
    """Read a certificate again, perhaps from other files; if that fails, the current one stays in use."""
    try:
        identity.reload(files)
    except BadIdentity as bad:
        log.error("{endpoint}: keeping the current certificate; the new {key} must be {what}",
                  endpoint=where, key=bad.key, what=str(bad))
    remark_on(log, where, identity, now)
