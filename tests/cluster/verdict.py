"""The result of the check of a history."""

from collections import Counter

import attrs

MOST_EVIDENCE = 20  # violations of each kind that are kept


@attrs.define
class Verdict:
    """The result of a check. `violations` have the evidence; `counts` are the answers by kind, and the faults."""

    violations: list[str] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    _found: Counter[str] = attrs.field(factory=Counter)

    def violated(self, promise, evidence):
        """Records that a promise was broken."""
        self._found[promise] += 1
        if self._found[promise] <= MOST_EVIDENCE:
            self.violations.append(f"{promise}: {evidence}")

    def __str__(self):
        counted = ", ".join(f"{number} {name}" for name, number in sorted(self.counts.items()))
        return "\n".join([counted, *self.violations, *(
            f"{promise}: {number - MOST_EVIDENCE} more" for promise, number in self._found.items()
            if number > MOST_EVIDENCE)])
