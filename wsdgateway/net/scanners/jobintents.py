"""Writes the intent of each CreateScanJob before it is sent, so that another gateway does not create a second job.

`bridge.cluster.intents` decides. If the server does not answer, the request is sent all the same.
"""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.cluster.intents import decide, intent_key, record_of
from wsdgateway.bridge.decisions import Outcome, Question, Reply
from wsdgateway.net.transport.errors import NOT_OWNED
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.soap.faults import Fault
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.sharedevents import IIntents


class JobIntents:
    """The CreateScanJobs of one scanner. `token` returns that of the present ownership, `seconds` the time."""

    log = Logger()

    def __init__(self, scanner: str, shared: IIntents, *, token: Callable[[], int],
                 seconds: Callable[[], float]) -> None:
        self._scanner = scanner
        self._shared = shared
        self._token = token
        self._seconds = seconds
        self._recorded: set[str] = set()  # the keys of requests that run
        self._throttle = LogThrottle()

    async def begin(self, question: Question) -> Reply | Fault | None:
        """Writes the intent to send a request. Returns the answer instead if the request must not be sent."""
        key = intent_key(question)
        if key is None:
            return None
        token = self._token()
        try:
            found = await self._shared.intend(self._scanner, token, key)
        except Fenced:
            return NOT_OWNED
        except NotNow as error:
            self._warn(error)
            return None
        answer = decide(found, token)
        if answer is None:
            self._recorded.add(key)
        return answer

    async def conclude(self, question: Question, outcome: Outcome, *, was_sent: bool) -> None:
        """Writes the outcome of a request, before it is answered. `was_sent`: it reached the scanner."""
        key = intent_key(question)
        if key is None or key not in self._recorded:
            return
        self._recorded.discard(key)
        token = self._token()
        try:
            await self._shared.conclude(self._scanner, token, key, record_of(outcome, token, was_sent=was_sent))
        except Fenced:
            pass  # the next owner has found the intent, or will
        except NotNow as error:
            self._warn(error)

    def _warn(self, error: NotNow) -> None:
        if self._throttle.allows("", self._seconds()):
            self.log.warn("{scanner}: a CreateScanJob cannot be recorded in Redis: {error}; if this gateway fails now, "
                          "a repetition of it may create a second job (logged at most once a minute)",
                          scanner=self._scanner, error=str(error))
