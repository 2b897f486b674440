"""The states of a job and their order.

WS-Scan, JobState::

    Creating ─► Pending ◄─► Held
                  │
                  ▼
               Started ─► Processing ─► Completed
       from anywhere before that:  Terminating ─► Canceled | Aborted

A device may skip states; Pending and Held have no order between them; a state that is not in the
table has no order at all.
"""

CREATING = "Creating"
PENDING = "Pending"
HELD = "Held"
STARTED = "Started"
PROCESSING = "Processing"
TERMINATING = "Terminating"
COMPLETED = "Completed"
CANCELED = "Canceled"
ABORTED = "Aborted"

FINAL = frozenset((COMPLETED, CANCELED, ABORTED))
ACTIVE = frozenset((CREATING, PENDING, HELD, STARTED, PROCESSING))
STATES = (CREATING, PENDING, HELD, STARTED, PROCESSING, TERMINATING, COMPLETED, CANCELED, ABORTED)

RANK = {
    CREATING: 0,
    PENDING: 1,
    HELD: 1,
    STARTED: 2,
    PROCESSING: 3,
    TERMINATING: 4,
    COMPLETED: 5,
    CANCELED: 5,
    ABORTED: 5,
}
