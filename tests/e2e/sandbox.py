"""Sandbox of the systemd unit without systemd: runs one command with the restrictions of `config/wsdgateway.service`.

As root: `unshare --mount --ipc python sandbox.py UNIT USER FOLDER -- COMMAND…`, where FOLDER stays writable. It applies
the mounts (ProtectSystem, ProtectHome, PrivateTmp, PrivateDevices, ProcSubset, ProtectProc), the user (PrivateUsers,
CapabilityBoundingSet, NoNewPrivileges, UMask), and by seccomp SystemCallFilter, RestrictAddressFamilies,
MemoryDenyWriteExecute and RestrictNamespaces. It does not apply RestrictSUIDSGID, LockPersonality, RestrictRealtime,
SystemCallArchitectures, or the control groups of PrivateDevices.
"""

import ctypes
import errno
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

ALLOW, REFUSE = 0x7FFF0000, 0x00050000
EQUAL, MASKED = 4, 7
DUMPABLE, DROP_CAPABILITY, NO_NEW_PRIVILEGES = 4, 24, 38
USER_NAMESPACE = 0x10000000
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, USER_NAMESPACE, 0x20000000, 0x40000000)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
HOMES = ("/home", "/root")
SCRATCH = ("/tmp", "/var/tmp")
WRITE, EXECUTE = 2, 4
FAMILIES = 46


def read_unit(path):
    """Returns the unit's settings: a list of values for each key."""
    values = {}
    for line in Path(path).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


def _mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def shut(keep, writable):
    """Makes all but `writable` read-only, and hides all but `keep` in homes and /tmp."""
    _mount("--make-rprivate", "/")
    aside = Path("/mnt")
    _mount("-t", "tmpfs", "tmpfs", aside)
    held = []
    hidden = (*HOMES, *SCRATCH)
    for number, path in enumerate([*(path for path in keep if str(path).startswith(hidden)), writable]):
        place = aside / str(number)
        place.mkdir()
        _mount("--rbind", path, place)
        held.append((place, path))
    for name, mode in (*((name, "755") for name in HOMES), *((name, "1777") for name in SCRATCH)):
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", name)
    for place, path in held:
        path.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", place, path)
    devices = aside / "dev"
    devices.mkdir()
    for name in DEVICES:
        (devices / name).touch()
        _mount("--bind", f"/dev/{name}", devices / name)
    _mount("--rbind", devices, "/dev")
    _mount("-t", "proc", "-o", "subset=pid,hidepid=invisible", "proc", "/proc")
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in dict.fromkeys(points):
        if point not in (str(writable), "/proc", *SCRATCH) and not point.startswith("/dev/"):
            # Mounts hidden by another one cannot be reached, and cannot be changed.
            subprocess.run(["mount", "-o", "remount,bind,ro", point], check=False, capture_output=True)


class _Argument(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """A seccomp filter; several apply together, and the strictest result counts."""

    def __init__(self, otherwise):
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(otherwise)))

    def rule(self, action, name, argument=None):
        """Adds the action for a system call, perhaps for an argument only (index, comparison, two numbers)."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # a system call of another architecture
        given = (_Argument * 1)(_Argument(*argument)) if argument else None
        failed = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, 1 if argument else 0, given)
        assert not failed, (name, failed)

    def load(self):
        """Applies the filter for the rest of the process."""
        failed = self._library.seccomp_load(self._context)
        assert not failed, failed


def calls_of(names):
    """Returns the system calls of systemd's groups, by `systemd-analyze`."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        said = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True)
        lines = (line.strip() for line in said.stdout.splitlines()[1:])
        found |= calls_of([line for line in lines if line and not line.startswith("#")])
    return found


def filters(unit):
    """Returns the filters that the unit asks for."""
    lists = unit["SystemCallFilter"]
    allowed = calls_of(["@default", *(name for value in lists if not value.startswith("~") for name in value.split())])
    denied = calls_of([name for value in lists if value.startswith("~") for name in value[1:].split()])
    calls = Filter(REFUSE | getattr(errno, unit["SystemCallErrorNumber"][0]))
    for name in sorted(allowed - denied):
        calls.rule(ALLOW, name)
    rest = Filter(ALLOW)
    wanted = {int(getattr(socket, name)) for name in unit["RestrictAddressFamilies"][0].split()}
    for family in set(range(FAMILIES)) - wanted:
        rest.rule(REFUSE | errno.EAFNOSUPPORT, "socket", (0, EQUAL, family, 0))
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        rest.rule(REFUSE | errno.EPERM, "mmap", (2, MASKED, WRITE | EXECUTE, WRITE | EXECUTE))
        rest.rule(REFUSE | errno.EPERM, "mprotect", (2, MASKED, EXECUTE, EXECUTE))
        rest.rule(REFUSE | errno.EPERM, "pkey_mprotect", (2, MASKED, EXECUTE, EXECUTE))
    if unit["RestrictNamespaces"] == ["yes"]:
        for name in ("unshare", "setns"):
            rest.rule(REFUSE | errno.EPERM, name)
        rest.rule(REFUSE | errno.ENOSYS, "clone3")
        for flag in NAMESPACES:
            rest.rule(REFUSE | errno.EPERM, "clone", (0, MASKED, flag, flag))
    return [rest, calls]


def become(entry):
    """Becomes that user, alone in a user namespace, without capabilities and without a way to gain any."""
    process = ctypes.CDLL(None, use_errno=True)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    process.prctl(DUMPABLE, 1, 0, 0, 0)  # otherwise root owns the files below
    assert not process.unshare(USER_NAMESPACE), os.strerror(ctypes.get_errno())
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{entry.pw_uid} {entry.pw_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{entry.pw_gid} {entry.pw_gid} 1")
    for capability in range(64):
        process.prctl(DROP_CAPABILITY, capability, 0, 0, 0)
    process.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def main(unit_file, user, folder, _, *command):
    unit = read_unit(unit_file)
    ready = filters(unit)
    keep = dict.fromkeys(Path(path).resolve() for path in (sys.base_prefix, sys.prefix, Path(__file__).parents[2]))
    shut([*keep], Path(folder))
    os.chdir(folder)
    os.umask(int(unit["UMask"][0], 8))
    assert unit["CapabilityBoundingSet"] == [""]
    become(pwd.getpwnam(user))
    for one in ready:
        one.load()
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
