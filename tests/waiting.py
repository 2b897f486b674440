"""Waits for something that other parts of the process bring about."""

from twisted.internet.task import deferLater


async def until(condition, seconds=30.0):
    """Wait until the condition holds. Raises `AssertionError` after so many seconds."""
    from twisted.internet import reactor

    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it did not happen")
