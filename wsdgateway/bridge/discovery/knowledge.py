"""What is known of something that is asked for: whether it still holds, and whether an answer to a question counts.

The value::

    unknown ──answered──► certain ──doubt──► doubted ──answered──► certain
       ▲                     │                  │
       └───────forget────────┴──────────────────┘

and the question for it, the last one of which counts::

    none ──ask──► asking ──answered, failed──► none
                   │  ▲
                   └──┘ ask, once more
"""

from typing import Generic, Literal, TypeVar

import attrs

Value = TypeVar("Value")

# What an answer is: the one that was waited for; the same, but of what has been forgotten since; or to a question that
# has been asked once more since.
Verdict = Literal["current", "outdated", "superseded"]


@attrs.frozen
class Inquiry:
    """A question that is under way: its number, and how often the value had been forgotten when it was asked."""

    number: int
    forgotten: int


class Knowledge(Generic[Value]):
    """A value that is asked for. `value` is None while it is unknown, `is_certain` says that it is not in doubt."""

    def __init__(self) -> None:
        self.value: Value | None = None
        self.is_certain = False
        self._asking: Inquiry | None = None
        self._asked = 0
        self._forgotten = 0

    @property
    def is_asking(self) -> bool:
        """Whether a question is under way."""
        return self._asking is not None

    def forget(self) -> None:
        """What is known, or being asked, holds no more."""
        self.value, self.is_certain = None, False
        self._forgotten += 1

    def doubt(self) -> None:
        """What is known has to be asked for before it is used."""
        self.is_certain = False

    def ask(self) -> Inquiry:
        """Begin a question; the one before, if it is under way, counts no more."""
        self._asked += 1
        self._asking = Inquiry(self._asked, self._forgotten)
        return self._asking

    def answered(self, question: Inquiry, value: Value) -> Verdict:
        """Take an answer; it is kept if it is current."""
        verdict = self.failed(question)
        if verdict == "current":
            self.value, self.is_certain = value, True
        return verdict

    def failed(self, question: Inquiry) -> Verdict:
        """Take note that a question got no answer."""
        if question != self._asking:
            return "superseded"
        self._asking = None
        return "current" if question.forgotten == self._forgotten else "outdated"
