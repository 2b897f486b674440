"""Recognises repeated messages by their MessageID. WS-Addressing 2004/08, section 3."""

from collections import OrderedDict

from wsdgateway.soap.addressing import MAX_MESSAGE_ID

MAX_REMEMBERED = 1024


class Seen:
    """The MessageIDs of the last `limit` messages."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def is_new(self, message_id: str | None) -> bool:
        """Remember a MessageID. Returns False if it is a repetition; a message without one is always new."""
        if message_id is None or len(message_id) > MAX_MESSAGE_ID:
            return True
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > self._limit:
            self._ids.popitem(last=False)
        return True
