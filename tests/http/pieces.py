"""Splits messages into pieces, as a connection may deliver them."""


def bytes_of(data):
    """Returns each byte of the data as a piece of its own."""
    return [data[i:i + 1] for i in range(len(data))]
