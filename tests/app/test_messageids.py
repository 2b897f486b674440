"""Tests of app.messageids: the message ids of a process."""

from random import Random
from uuid import UUID

from wsdgateway.app.messageids import MessageIds


def test_message_ids_are_unique_and_recognised_as_own():
    ids, others = MessageIds(), MessageIds()
    made = [ids.new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(UUID(one.removeprefix("urn:uuid:")) for one in made)
    assert all(ids.is_own(one) and not others.is_own(one) for one in made)
    assert ids.instance != others.instance and made[0].startswith(f"urn:uuid:{ids.instance}")


def test_message_ids_are_those_of_the_random_bytes():
    ids, same = (MessageIds(Random(1).randbytes) for _ in range(2))
    assert [ids.new_id() for _ in range(3)] == [same.new_id() for _ in range(3)]
    assert ids.new_id() != MessageIds(Random(2).randbytes).new_id()
