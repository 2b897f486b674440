"""The log while a test runs."""

from contextlib import contextmanager

from twisted.logger import formatEvent, globalLogPublisher


@contextmanager
def logged(read=formatEvent):
    """A list to which each event of the log is added as `read` returns it, unless that is None."""
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
