"""The entries that have ended since the start, which a copy of the store's file may still list."""

from collections import OrderedDict

MAX_ENDED = 10000  # names; the oldest are forgotten


class EndedEntries:
    """The names of ended entries.

    A name is the identifier of a client's subscription, the NotifyTo address of a subscription at a scanner, the uuid
    of an adopted scanner, or the `name_of_job` of a job of the gateway's own.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Record an end."""
        self._names[name] = None
        self._names.move_to_end(name)
        if len(self._names) > MAX_ENDED:
            self._names.popitem(last=False)

    def discard(self, name: str) -> None:
        """Record that an entry with that name has begun again."""
        self._names.pop(name, None)
