"""Entries of the exchange log for tests."""

from wsdgateway.exchangelog.entry import Entry

_FIELDS = Entry(1795430051.123, "front-desk", "192.0.2.77:50122", "GetJobElements", "http://x/GetJobElements",
                "urn:uuid:1", "253", "local", 200, None, 812, 1390, 0.0004)


def entry(**changes):
    """Returns an entry with these fields instead of the usual ones."""
    return Entry(*(changes.get(name, value) for name, value in zip(Entry.__annotations__, _FIELDS, strict=True)))


ENTRY = entry()
