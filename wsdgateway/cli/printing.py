"""What comes from the network made fit for a terminal."""


def printable(text: str) -> str:
    """The text without control characters, which could move the cursor or worse."""
    return "".join(c if c.isprintable() else "�" for c in text)
