"""Names the process that listens on a TCP port of this host, for the message about a port that is taken.

proc(5): /proc/net/tcp and /proc/net/tcp6, and the descriptors in /proc/PID/fd. An ordinary user can read the
descriptors of its own processes only; for others the tables still have the user.
"""

import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

import attrs

PROC = Path("/proc")
_TABLES = ("self/net/tcp", "self/net/tcp6")  # /proc/net itself is hidden by ProcSubset=pid
_LISTENING = "0A"
_ANY = {"0" * 8, "0" * 32}
MAX_TABLE = 1 << 22  # characters of each table that are read
MAX_PROCESSES = 32768  # that are looked at
_UNKNOWN_USER = 65534  # stands for all users that a user namespace does not contain; user_namespaces(7)
SHOWN_BY = "ss -ltnp, as root, shows which"


@attrs.frozen
class _Socket:
    inode: str
    uid: int


def owner_of(host: str, port: int, proc: Path = PROC) -> str | None:
    """The program that keeps a port from being opened, such as `nginx (process 812)`; None if this cannot be read.

    `host` is an IP address, or empty for all. Where only the user can be read, the text has that and says what to do.
    """
    found = list(_sockets(_address(host), port, proc))
    if not found:
        return None
    name = _process({f"socket:[{one.inode}]" for one in found}, proc)
    return name if name is not None else f"a process of {_user(found[0].uid)}: {SHOWN_BY}"


def _address(host: str) -> str:
    """An address as the tables write it: 32-bit words in the byte order of this host, which is taken as little."""
    host = host.partition("%")[0]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return "0" * 8
    return "".join(packed[start:start + 4][::-1].hex() for start in range(0, len(packed), 4)).upper()


def _sockets(address: str, port: int, proc: Path) -> Iterator[_Socket]:
    """The sockets that listen on a port, on an address that conflicts with the given one."""
    for table in _TABLES:
        try:
            with (proc / table).open(encoding="ascii") as file:
                lines = file.read(MAX_TABLE).splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if len(fields) > 9 and fields[3] == _LISTENING:
                there, _, number = fields[1].rpartition(":")
                if int(number, 16) == port and (there == address or {there, address} & _ANY):
                    yield _Socket(fields[9], int(fields[7]))


def _process(links: set[str], proc: Path) -> str | None:
    """The name and number of the first process that has one of these sockets open."""
    processes = (entry for entry in proc.iterdir() if entry.name.isdecimal())
    for _, process in zip(range(MAX_PROCESSES), processes, strict=False):
        try:
            if any(str(one.readlink()) in links for one in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:  # it has ended, or belongs to another user
            continue
    return None


def _user(uid: int) -> str:
    if uid == _UNKNOWN_USER:
        return "another user"
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
