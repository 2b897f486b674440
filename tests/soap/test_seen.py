"""MessageIDs that are remembered."""


from wsdgateway.soap.seen import MAX_REMEMBERED, Seen


def test_remembered_ids_are_bounded():
    seen = Seen()
    assert all(seen.is_new(str(number)) for number in range(MAX_REMEMBERED + 1))
    assert seen.is_new("0")
    assert seen.is_new(None)
    assert seen.is_new(None)
