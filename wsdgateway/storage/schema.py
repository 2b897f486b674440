"""The schema of a SQLite store, in numbered steps, and the checks that a file must pass to be used.

The steps are the files `NNNN-what.sql` beside this module. Steps that a file lacks are applied in one transaction,
after the file has been copied; a file that is damaged, newer or another program's is rejected and left unchanged.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from wsdgateway.storage.problems import KEEP, unusable
from wsdgateway.storage.store import NotOurs, Unreadable

_VERSION = "PRAGMA user_version"
_OWNER = "PRAGMA application_id"
OURS = 0x57534447  # "WSDG"; schema 1 did not set it
_FIRST_TABLE = "finished_job"


def steps() -> list[str]:
    """Returns the SQL scripts of the schema in order; the first one creates schema 1."""
    found = sorted((file for file in files("wsdgateway.storage").iterdir() if file.name.endswith(".sql")),
                   key=lambda file: file.name)
    return [file.read_text("utf-8") for file in found]


def open_private(path: Path) -> int:
    """Opens a file, which is created if necessary, and returns the descriptor.

    Files that SQLite creates beside it get the same mode.
    """
    # The file holds secret notification addresses and clients' names on panels, so other users must not read it.
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)


def prepare(path: Path, read: Callable[[sqlite3.Connection], object] = lambda connection: None) -> None:
    """Prepares a file for use. Raises `StoreError`.

    If the file is up to date, `read` is called before anything, even the header, is written; it may raise `StoreError`,
    too.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            _bring_up(connection, path, steps(), read)
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error, look=True) from None


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Opens a connection that neither changes nor creates a file."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def verify(connection: sqlite3.Connection, path: Path) -> bool:
    """True if a file is intact and up to date; False if it is older or empty. Raises `StoreError`."""
    return _verified(connection, path, len(steps())) == len(steps())


def _verified(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """Returns the schema version of a file that is intact and belongs to this program. Raises `StoreError`."""
    version = int(connection.execute(_VERSION).fetchone()[0])
    tables = [name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if tables and _FIRST_TABLE not in tables:
        raise NotOurs(f"{path}: the file is a database of another program; give another file")
    if version > newest:
        raise Unreadable(f"{path}: the store was written by a newer version of wsdgateway (schema {version}, this "
                         f"version supports {newest}); use that version, or another file")
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    owner = connection.execute(_OWNER).fetchone()[0]
    if problem == "ok" and (owner != (OURS if version > 1 else 0) or (
            version <= 1 and tables != [_FIRST_TABLE][:version])):
        problem = f"its header gives schema {version}, which its tables do not match"
    if problem != "ok":
        raise Unreadable(f"{path}: the store is damaged: {problem}; {KEEP}")
    return version


def _bring_up(connection: sqlite3.Connection, path: Path, steps: list[str],
              read: Callable[[sqlite3.Connection], object]) -> None:
    version = _verified(connection, path, len(steps))
    if version == len(steps):
        read(connection)
    if 0 < version < len(steps):
        _copy(connection, path.with_name(f"{path.name}.schema-{version}"))
    missing = "\n".join(steps[version:])  # if empty, the script still shows whether the file can be written to
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{missing}\n{_OWNER} = {OURS};\n{_VERSION} = {len(steps)};\nCOMMIT;")


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    """Copies the database; the copy gets its name only when it is complete."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        os.close(open_private(unfinished))
        with closing(sqlite3.connect(unfinished)) as target:
            connection.backup(target)
        unfinished.replace(copy)
    except (OSError, sqlite3.Error):
        unfinished.unlink(missing_ok=True)  # a partial copy takes up room on a full disk
        raise
