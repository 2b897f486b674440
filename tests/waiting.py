"""Waits for effects of other parts of the process."""

from twisted.internet.task import deferLater


async def until(condition, seconds=30.0):
    """Waits until the condition is true. Raises `AssertionError` after `seconds`."""
    from twisted.internet import reactor

    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("the condition did not become true in time")
