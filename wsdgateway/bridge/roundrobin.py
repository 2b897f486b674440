"""Queues items for a resource that serves one at a time, taking turns among their owners (round robin).

An owner with a hundred items delays another's first item by one item, not by a hundred.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class RoundRobin(Generic[Item]):
    """The items of each owner in the order of their arrival. Every operation but `largest` takes constant time.

    An item may have several distinct owners, and is served at the earliest of their turns.
    """

    def __init__(self) -> None:
        self._of: OrderedDict[Hashable, OrderedDict[Item, None]] = OrderedDict()  # in the order of their turns
        self._owners: dict[Item, list[Hashable]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, item: Item) -> bool:
        return item in self._owners

    def __iter__(self) -> Iterator[Item]:
        return iter(self._owners)

    def owners(self, item: Item) -> tuple[Hashable, ...]:
        """The owners of the item; none if it is not queued."""
        return tuple(self._owners.get(item, ()))

    def count(self, owner: Hashable) -> int:
        """The number of waiting items of the owner."""
        return len(self._of.get(owner, ()))

    def add(self, owner: Hashable, item: Item) -> None:
        """Queue the item behind the owner's others."""
        self._of.setdefault(owner, OrderedDict())[item] = None
        self._owners.setdefault(item, []).append(owner)

    @property
    def first(self) -> Item:
        """The item whose turn it is. Raises `StopIteration` if none is queued."""
        return next(iter(next(iter(self._of.values()))))

    def firsts(self) -> Iterator[Item]:
        """The first item of each owner, in the order of their turns. The queue must not change meanwhile."""
        return (next(iter(items)) for items in self._of.values())

    def serve(self, item: Item) -> None:
        """Remove the item. The owner whose turn it was has its next turn after all others."""
        owners = self._owners[item]
        owner = owners[0] if len(owners) == 1 else next(owner for owner in self._of if owner in owners)
        self.remove(item)
        if owner in self._of:
            self._of.move_to_end(owner)

    def remove(self, item: Item) -> bool:
        """Remove the item without changing the turns; False if it is not queued."""
        owners = self._owners.pop(item, None)
        for owner in owners or ():
            items = self._of[owner]
            del items[item]
            if not items:
                del self._of[owner]
        return owners is not None

    def largest(self) -> Hashable:
        """The owner with most items. Raises `ValueError` if none is queued."""
        return max(self._of, key=self.count)

    def newest(self, owner: Hashable) -> Item:
        """The owner's last item. Raises `KeyError` if it has none."""
        return next(reversed(self._of[owner]))

    def clear(self) -> list[Item]:
        """Remove all items, and return them in the order of their arrival."""
        items = list(self._owners)
        self._of.clear()
        self._owners.clear()
        return items
