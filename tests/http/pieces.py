"""Messages in pieces, as a connection may deliver them."""


def bytes_of(data):
    """Each byte of the data by itself."""
    return [data[i:i + 1] for i in range(len(data))]
