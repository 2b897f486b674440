"""The AppSequences of the gateway's discovery messages: for each stand-in an InstanceId, and a number for each message.

WS-Discovery 2005/04, section 7. A client compares both with those of the last message about the same endpoint, and
ignores lower ones. A stand-in is a target service of its own, so it has a sequence of its own. Its InstanceId
grows with each start of the gateway; if several gateways share the scanner, with each takeover, since its former owner
has sent messages about the same endpoint.
"""

from collections import OrderedDict
from collections.abc import Iterable

from wsdgateway.discovery.messages import Sequence

MAX_SEQUENCES = 10000  # of which the oldest are forgotten
GATEWAY = ""  # the name of the sequence for messages about no stand-in: of the discovery proxy, and without matches


class AppSequences:
    """The sequences by the names of stand-ins.

    If `each_begins`, a stand-in has a sequence only after `begin`, since several gateways share the scanners, and
    `instance_id` is that of the gateway itself; otherwise all have the one that was drawn last.
    """

    def __init__(self, instance_id: int, *, each_begins: bool = False) -> None:
        self.instance_id = 0 if each_begins else instance_id
        self._each_begins = each_begins
        self._last: OrderedDict[str, Sequence] = OrderedDict()
        self._forgotten = 0  # the highest MessageNumber of a sequence that was forgotten
        if each_begins:
            self._last[GATEWAY] = Sequence(instance_id, 0)

    def drawn(self, instance_id: int) -> None:
        """Note an InstanceId that this gateway, or another one that shares the scanners, has drawn."""
        self.instance_id = max(self.instance_id, instance_id)

    def begin(self, name: str) -> None:
        """Begin a sequence for a stand-in, with the InstanceId that was drawn last."""
        self._note(name, Sequence(self.instance_id, 0))

    def end(self, name: str) -> None:
        """Forget the sequence of a stand-in; nothing can be sent about it before `begin`."""
        self._last.pop(name, None)

    def has(self, name: str) -> bool:
        """True if messages about a stand-in can be sent."""
        return name in self._last or not self._each_begins or name == GATEWAY

    def next(self, names: Iterable[str] = (), *, beside_others: bool = False) -> Sequence | None:
        """Returns the AppSequence of the next message, which is about these stand-ins; None if one has no sequence.

        A message about several, or about stand-ins of other gateways besides, has the InstanceId that was drawn last.
        They keep it, so that none of their next messages has a lower one.
        """
        listed = list(names) or [GATEWAY]
        if not all(map(self.has, listed)):
            return None
        known = [self._last.get(name) or Sequence(0, self._forgotten) for name in listed]
        is_single = self._each_begins and len(listed) == 1 and listed[0] in self._last and not beside_others
        instance_id = known[0].instance_id if is_single else self.instance_id
        number = max((one.message_number for one in known if one.instance_id in (0, instance_id)), default=0)
        made = Sequence(instance_id, number + 1)
        for name in listed:
            self._note(name, made)
        return made

    def _note(self, name: str, sequence: Sequence) -> None:
        self._last[name] = sequence
        self._last.move_to_end(name)
        if len(self._last) > MAX_SEQUENCES:
            _, forgotten = self._last.popitem(last=False)
            self._forgotten = max(self._forgotten, forgotten.message_number)
