"""Handles privileges at the start: root may start the gateway, and an ordinary user then runs it.

`twistd --uid` makes the service and opens its log as root, and switches users between `privilegedStartService` and
`startService`. Files are read and created with the later user's permissions before that, so that a missing permission
shows at the start and not at the first SIGHUP.
"""

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

LOG = "twistd.log"  # in the working directory: twistd's default for a daemon


class NoSuchUser(Exception):
    """`--uid` names a user who does not exist; the text says what to do."""


@attrs.frozen
class ServiceUser:
    """The user that twistd will switch to."""

    name: str
    uid: int
    gid: int


def user_of(options: Mapping[str, Any]) -> ServiceUser | None:
    """The user that twistd's own options name; None if twistd does not switch users. Raises `NoSuchUser`."""
    uid, gid = options.get("uid"), options.get("gid")
    if uid is None or os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise NoSuchUser(f"--uid {uid}: there is no such user; give one of /etc/passwd, or create one: adduser "
                         "--system --group --no-create-home wsdgateway") from None
    return ServiceUser(entry.pw_name, uid, entry.pw_gid if gid is None else gid)


@contextmanager
def acting_as(user: ServiceUser | None) -> Iterator[None]:
    """A context in which files are opened and created with that user's permissions."""
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
    """Create twistd's log file as the later user, since a file created by root could not be rotated.

    Returns an instruction for the administrator if the file cannot be created, else None.
    """
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
    return None if is_open else (f"--logfile {path}: {user.name} cannot write to this folder, so the log cannot be "
                                 f"rotated; give a file in a folder that {user.name} owns, or use --syslog")
