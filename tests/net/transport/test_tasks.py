"""Tests of net.transport.tasks: coroutines that run in the background."""

from twisted.internet.defer import CancelledError, Deferred

from wsdgateway.net.transport.tasks import Tasks


def test_coroutines_are_cancelled_in_the_order_in_which_they_began():
    tasks, cancelled = Tasks("Waiting"), []

    async def wait(number):
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(number)
            raise

    for number in range(50):
        tasks.run(wait(number))
    tasks.cancel()
    assert cancelled == list(range(50))
    assert tasks.is_idle
