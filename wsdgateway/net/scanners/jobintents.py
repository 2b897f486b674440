"""Writes the intent of each CreateScanJob before it is sent, so that another gateway does not create a second job.

`bridge.cluster.intents` decides. The same command has the job counted for its client at the scanners of all gateways.
If the server does not answer, the request is sent all the same; also if no gateway owns the scanner there, and this
one serves it alone.
"""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import FORGOTTEN_SECONDS, JOBS_AT_ONCE, CountedJob, too_many_jobs
from wsdgateway.bridge.cluster.intents import decide, intent_key, record_of
from wsdgateway.bridge.decisions import Failure, Outcome, Question, Reply
from wsdgateway.net.transport.errors import NOT_OWNED
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.soap.faults import Fault
from wsdgateway.storage.coordination import Fenced, NotNow, Unowned
from wsdgateway.storage.sharedevents import Claim, IIntents, TooManyJobs


class JobIntents:
    """The CreateScanJobs of one scanner. `token` returns that of the present ownership, `seconds` the time.

    `most_jobs` returns the number of jobs that a client may have. `is_alone` returns whether the scanner is served
    without the server. `on_fenced` is called when a request must not be sent, because the ownership has ended.
    """

    log = Logger()

    def __init__(self, scanner: str, shared: IIntents, *, token: Callable[[], int], seconds: Callable[[], float],
                 most_jobs: Callable[[], int], is_alone: Callable[[], bool] = lambda: False,
                 on_fenced: Callable[[], None] = lambda: None) -> None:
        self._scanner = scanner
        self._shared = shared
        self._token = token
        self._seconds = seconds
        self._most_jobs = most_jobs
        self._is_alone, self._on_fenced = is_alone, on_fenced
        self._recorded: set[str] = set()  # the keys of requests that run
        self._throttle = LogThrottle()

    async def begin(self, question: Question, job: CountedJob | None) -> Reply | Failure | None:
        """Writes the intent to send a request, and has its job counted, if there is one.

        Returns the outcome instead if the request must not be sent.
        """
        key = intent_key(question)
        if key is None:
            return await self.count(job)
        token, claim = self._token(), None if job is None else self._claim(job)
        try:
            found = await self._shared.intend(self._scanner, token, key, claim)
        except (Fenced, NotNow, TooManyJobs) as error:
            return self._refused(error, job)
        answer = decide(found, token)
        if isinstance(answer, Fault):
            return Failure(answer)
        if answer is None:
            self._recorded.add(key)
            _share(job)
        return answer

    async def count(self, job: CountedJob | None) -> Failure | None:
        """Has a job counted, if there is one, whose request is not repeated.

        Returns the outcome instead if the request must not be sent.
        """
        if job is None:
            return None
        try:
            await self._shared.count(self._scanner, self._token(), self._claim(job))
        except (Fenced, NotNow, TooManyJobs) as error:
            return self._refused(error, job)
        _share(job)
        return None

    def _claim(self, job: CountedJob) -> Claim:
        return Claim(job.client, job.name, self._most_jobs(), FORGOTTEN_SECONDS)

    def _refused(self, error: Exception, job: CountedJob | None) -> Failure | None:
        """Returns the outcome of a request that must not be sent; None if the server is away."""
        if isinstance(error, Fenced) and not (isinstance(error, Unowned) and self._is_alone()):
            self._on_fenced()
            return Failure(NOT_OWNED)
        if isinstance(error, TooManyJobs):
            return Failure(too_many_jobs(self._most_jobs()), JOBS_AT_ONCE)
        self._warn(error)
        _share(job)  # since it may count
        return None

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

    def _warn(self, error: Exception) -> None:
        if self._throttle.allows("", self._seconds()):
            self.log.warn("{scanner}: a CreateScanJob cannot be recorded in Redis: {error}; if this gateway fails now, "
                          "a repetition of it may create a second job, and client_jobs limits each gateway by itself "
                          "(logged at most once a minute)", scanner=self._scanner, error=str(error))


def _share(job: CountedJob | None) -> None:
    if job is not None:
        job.is_shared = True
