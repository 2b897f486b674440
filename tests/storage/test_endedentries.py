"""Tests of storage.endedentries."""

from wsdgateway.storage.endedentries import MAX_ENDED, EndedEntries


def test_an_entry_that_begins_again_has_not_ended():
    ended = EndedEntries()
    ended.add("a")
    assert "a" in ended
    ended.discard("a")
    ended.discard("b")
    assert "a" not in ended


def test_the_number_of_remembered_ends_is_limited():
    ended = EndedEntries()
    for number in range(MAX_ENDED):
        ended.add(str(number))
    ended.add("0")  # again, so that it is the newest
    ended.add("new")
    assert {name for name in ("0", "1", "2", "new") if name in ended} == {"0", "2", "new"}
