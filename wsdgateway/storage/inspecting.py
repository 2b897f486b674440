"""Checks and reads a store without changing it, for `wsdgateway check`."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from wsdgateway.storage.problems import no_folder, problem_of_folder, unusable
from wsdgateway.storage.rows import ESCL_PORTS
from wsdgateway.storage.schema import connect_read_only, verify
from wsdgateway.storage.store import StoreError

# Left behind by a gateway that was killed; the next start repairs it by writing to the file.
_UNFINISHED = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY)


def problem_with(path: Path) -> StoreError | None:
    """Returns the reason why a start could not use the store, as far as the current user can tell; None if it could."""
    folder = path.parent
    try:
        if not folder.exists():
            return no_folder(path)
        if path.exists():
            with closing(connect_read_only(path)) as connection:
                verify(connection, path)
    except StoreError as problem:
        return problem
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code not in _UNFINISHED and not Path(f"{path}-journal").exists():
            return unusable(path, error, look=True)
    except OSError as error:
        return unusable(path, error, look=True)
    for place in filter(Path.exists, (folder, path)):
        if not os.access(place, os.W_OK):
            return unusable(path, PermissionError(f"{place} is not writable"), look=True)
    return problem_of_folder(path)


def stored_escl_ports(path: Path) -> dict[str, int]:
    """The ports of eSCL scanners that a store has; empty for one that cannot be read, or does not exist yet."""
    try:
        if path.exists():
            with closing(connect_read_only(path)) as connection:
                return dict(connection.execute(ESCL_PORTS).fetchall())
    except (StoreError, sqlite3.Error, OSError):
        pass  # `problem_with` gives the reason
    return {}
