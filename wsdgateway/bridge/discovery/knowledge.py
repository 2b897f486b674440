"""Knowledge of a value that has to be asked for: whether it is still valid, and whether an answer still counts.

The value::

    unknown ──answered──► certain ──doubt──► doubted ──answered──► certain
       ▲                     │                  │
       └───────forget────────┴──────────────────┘

and the question for it, of which only the last one counts::

    none ──ask──► asking ──answered, failed──► none
                   │  ▲
                   └──┘ ask, once more
"""

from typing import Generic, Literal, TypeVar

import attrs

Value = TypeVar("Value")

# The status of an answer: the expected one; the expected one, but for a value that has been forgotten since; or an
# answer to a question that has been asked again since.
Verdict = Literal["current", "outdated", "superseded"]


@attrs.frozen
class Inquiry:
    """A pending question: its number, and how often the value had been forgotten when it was asked."""

    number: int
    forgotten: int


class Knowledge(Generic[Value]):
    """A value that has to be asked for.

    `value` is None while it is unknown, `is_certain` is False while it is in doubt.
    """

    def __init__(self) -> None:
        self.value: Value | None = None
        self.is_certain = False
        self._asking: Inquiry | None = None
        self._asked = 0
        self._forgotten = 0

    @property
    def is_asking(self) -> bool:
        """True if a question is pending."""
        return self._asking is not None

    def forget(self) -> None:
        """Discards the value, and the answer to a pending question."""
        self.value, self.is_certain = None, False
        self._forgotten += 1

    def doubt(self) -> None:
        """Marks the value as one that has to be asked for again before use."""
        self.is_certain = False

    def ask(self) -> Inquiry:
        """Starts a question; a pending one no longer counts."""
        self._asked += 1
        self._asking = Inquiry(self._asked, self._forgotten)
        return self._asking

    def answered(self, question: Inquiry, value: Value) -> Verdict:
        """Processes an answer, which is kept if it is current."""
        verdict = self.failed(question)
        if verdict == "current":
            self.value, self.is_certain = value, True
        return verdict

    def failed(self, question: Inquiry) -> Verdict:
        """Notes that a question got no answer."""
        if question != self._asking:
            return "superseded"
        self._asking = None
        return "current" if question.forgotten == self._forgotten else "outdated"
