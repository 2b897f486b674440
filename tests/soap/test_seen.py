"""Tests of soap.seen: remembered MessageIDs."""


from wsdgateway.soap.seen import MAX_REMEMBERED, Seen


def test_the_number_of_remembered_ids_is_limited():
    seen = Seen()
    assert all(seen.is_new(str(number)) for number in range(MAX_REMEMBERED + 1))
    assert seen.is_new("0")
    assert seen.is_new(None)
    assert seen.is_new(None)
