"""Addresses for notifications that the owner has accepted."""

from wsdgateway.net.cluster.validsecrets import MAX_SECRETS, ValidSecrets


def test_only_the_same_sender_at_the_same_address_is_known():
    known = ValidSecrets()
    known.note(b"/a", "192.0.2.7", valid=True)
    assert known.holds(b"/a", "192.0.2.7")
    assert not known.holds(b"/a", "192.0.2.8")
    assert not known.holds(b"/b", "192.0.2.7")
    known.note(b"/a", "192.0.2.7", valid=False)
    assert not known.holds(b"/a", "192.0.2.7")


def test_the_number_is_bounded_and_the_latest_are_kept():
    known = ValidSecrets()
    for number in range(MAX_SECRETS + 1):
        known.note(b"/%d" % number, "192.0.2.7", valid=True)
        known.note(b"/0", "192.0.2.7", valid=True)
    assert known.holds(b"/0", "192.0.2.7")
    assert not known.holds(b"/1", "192.0.2.7")
