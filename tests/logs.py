"""Records log events during a test."""

from contextlib import contextmanager

from twisted.logger import formatEvent, globalLogPublisher


@contextmanager
def logged(read=formatEvent):
    """Gives a list to which `read(event)` is added for each log event, unless it is None."""
    values = []

    def observe(event):
        value = read(event)
        if value is not None:
            values.append(value)

    globalLogPublisher.addObserver(observe)
    try:
        yield values
    finally:
        globalLogPublisher.removeObserver(observe)
