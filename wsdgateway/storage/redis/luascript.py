"""The Lua scripts of this package, each of which the server runs as one step."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

_COMMON = "common"  # local functions for the others


class LuaScript:
    """The script in `scripts/NAME.lua`."""

    def __init__(self, name: str) -> None:
        folder = files(__package__).joinpath("scripts")
        self.text = "\n".join(folder.joinpath(f"{one}.lua").read_text() for one in (_COMMON, name))
        self._digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def run(self, redis: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Runs the script, and returns its answer. A server that does not know it gets its text.

        Raises errors of redis-py.
        """
        try:
            return redis.evalsha(self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return redis.eval(self.text, len(keys), *keys, *arguments)
