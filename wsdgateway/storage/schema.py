"""The schema of a SQLite store, in numbered steps, and what a file must be to become one.

The steps are the files `NNNN-what.sql` beside this one. Those that a file lacks are applied in one transaction, with a
copy of the file made first; a file that is damaged, newer or another program's is refused and left as it is.
"""

import os
import pwd
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from wsdgateway.storage.store import StoreError

_VERSION = "PRAGMA user_version"
_OWNER = "PRAGMA application_id"
OURS = 0x57534447  # "WSDG"; schema 1 did not set it
_FIRST_TABLE = ["finished_job"]


def _steps() -> list[str]:
    """The steps in their order; the first makes schema 1."""
    found = sorted((file for file in files("wsdgateway.storage").iterdir() if file.name.endswith(".sql")),
                   key=lambda file: file.name)
    return [file.read_text("utf-8") for file in found]


def open_private(path: Path) -> int:
    """The descriptor of a file, made if it is not there; what SQLite makes beside it gets the same mode."""
    # Where scanners notify us stands in it, and what clients' names on panels were given: for nobody else's eyes.
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)


def prepare(path: Path) -> None:
    """Make a file ready for use. Raises `StoreError`."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            _bring_up(connection, path, _steps())
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: Exception) -> StoreError:
    """What to say of a file that can't be used."""
    return StoreError(f"{path}: the store can't be used: {error}; allowed is a SQLite file of this program, or a new "
                      f"one in a folder that exists, both writable for the user {_user()}. Nothing was changed: if the "
                      "file is damaged, move it away, or put a copy of it in its place")


def _user() -> str:
    """Who runs this."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _bring_up(connection: sqlite3.Connection, path: Path, steps: list[str]) -> None:
    version = connection.execute(_VERSION).fetchone()[0]
    if version > len(steps):
        raise StoreError(f"{path}: the store was written by a newer version of wsdgateway (schema {version}, known "
                         f"here is {len(steps)}); use that version, or another file")
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise StoreError(f"{path}: the store is damaged: {problem}; nothing was changed. Move it away, or put a copy "
                         "of it in its place")
    tables = [name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    owner = connection.execute(_OWNER).fetchone()[0]
    if owner != (OURS if version > 1 else 0) or (version <= 1 and tables != _FIRST_TABLE[:version]):
        raise StoreError(f"{path}: the file is a database of another program; name another file")
    if 0 < version < len(steps):
        _copy(connection, path.with_name(f"{path.name}.schema-{version}"))
    missing = "\n".join(steps[version:])  # with none, this shows whether the file can be written to
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{missing}\n{_OWNER} = {OURS};\n{_VERSION} = {len(steps)};\nCOMMIT;")


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    """A copy that appears when it is whole."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(open_private(unfinished))
    with closing(sqlite3.connect(unfinished)) as target:
        connection.backup(target)
    unfinished.replace(copy)
