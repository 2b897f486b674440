"""Root starts the gateway and an ordinary user runs it: what is read and made before twistd switches, is as that user.

So whatever SIGHUP will need later is found missing at the start. `twistd --uid` makes the service and opens its log as
root, and switches between `privilegedStartService` and `startService`.
"""

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

LOG = "twistd.log"  # in the working directory: twistd's own choice for a daemon


class NoSuchUser(Exception):
    """twistd is to become somebody who does not exist; the text says what to do."""


@attrs.frozen
class ServiceUser:
    """Whom twistd will switch to."""

    name: str
    uid: int
    gid: int


def user_of(options: Mapping[str, Any]) -> ServiceUser | None:
    """The user in twistd's own options; None if it stays who it is. Raises `NoSuchUser`."""
    uid, gid = options.get("uid"), options.get("gid")
    if uid is None or os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise NoSuchUser(f"--uid {uid}: there is no such user; name one of /etc/passwd, or make one: adduser --system "
                          "--group --no-create-home wsdgateway") from None
    return ServiceUser(entry.pw_name, uid, entry.pw_gid if gid is None else gid)


@contextmanager
def acting_as(user: ServiceUser | None) -> Iterator[None]:
    """What is opened inside must be open to that user, and what is made inside is theirs."""
    if user is None:
        yield
        return
    groups, group, root = os.getgroups(), os.getegid(), os.geteuid()
    os.initgroups(user.name, user.gid)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(root)
        os.setegid(group)
        os.setgroups(groups)


def make_log(options: Mapping[str, Any], user: ServiceUser) -> str | None:
    """Make twistd's log before root does, whose file could never be rotated; what to do where it can't be made."""
    name = options.get("logfile") or (None if options.get("nodaemon") else LOG)
    if name in (None, "-") or options.get("syslog") or options.get("logger"):
        return None
    path = Path(name)
    with acting_as(user):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o640))
            is_open = os.access(path.parent, os.W_OK, effective_ids=True)
        except OSError:
            is_open = False
    return None if is_open else (f"--logfile {path}: {user.name} may not write there, so it is never rotated; name a "
                                 f"file in a folder of theirs, or use --syslog")
