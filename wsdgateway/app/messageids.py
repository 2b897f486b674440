"""Generates message ids: a random part for the process, and a counter in the last group.

WS-Addressing 2004/08, section 3.
"""

import secrets
import uuid
from collections.abc import Callable
from itertools import count


class MessageIds:
    """Generates the message ids of one gateway, `urn:uuid:…`. `instance` is a short text that identifies this start.

    `draw` returns random bytes, as many as asked for.
    """

    def __init__(self, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        process = str(uuid.UUID(bytes=draw(16), version=4))
        self.instance = process[:8]
        self._prefix = f"urn:uuid:{process[:-12]}"
        self._numbers = count(int.from_bytes(draw(4)))

    def new_id(self) -> str:
        """A new, unique message id."""
        return f"{self._prefix}{next(self._numbers):012x}"

    def is_own(self, message_id: str) -> bool:
        """True if `new_id` has generated this message id."""
        return message_id.startswith(self._prefix)
