"""A reactor whose thread pool runs jobs on demand, and counters of the outcomes."""

from twisted.internet.testing import MemoryReactorClock


class Pool:
    """A thread pool that runs jobs in the calling thread: at once, or on `release` if `held` is a list."""

    def __init__(self):
        self.held = None

    def callInThreadWithCallback(self, done, function, *args, **kwargs):
        def run():
            try:
                done(True, function(*args, **kwargs))
            except Exception:
                from twisted.python.failure import Failure
                done(False, Failure())
        run() if self.held is None else self.held.append(run)

    def release(self):
        while self.held:
            self.held.pop(0)()


class Reactor(MemoryReactorClock):
    def __init__(self):
        super().__init__()
        self.pool = Pool()

    def getThreadPool(self):
        return self.pool

    def callFromThread(self, function, *args, **kwargs):
        function(*args, **kwargs)


class Counts(dict):
    def __call__(self, outcome, count):
        self[outcome] = self.get(outcome, 0) + count
