"""The states of a client's connection, and what leads from one to the next.

RFC 9112, section 9. One request at a time is answered; pipelined ones wait::

                some               whole               pending
    waiting ──────────► arriving ─────────► beginning ──────────► answering
     ▲   │                 ▲                 ▲     │                 │
     │   └─────────────────┼───── whole ─────┘     └────────┬────────┘
     │                     │    answered amid the next      │
     │                     └────────────────────────────────┤
     │                         answered                     │
     └──────────────────────────────────────────────────────┤
                                                            │ answered last
                          drain, half closed                ▼
    waiting, arriving ─────────────────────────────────► closing
          │                                                 │ overdue
          │               refused, late, overdue            ▼        overdue, abort
          └─────────────────────────────────────────────► lingering ────────────────► aborted

    abort: from any other state, too, to aborted. lost: from any state to gone.

- `waiting`: nothing of a request is here. `arriving`: bytes have come that may become one.
- `beginning`: a request is handed over. What answers it before that returns needs no stack of its own, however many
  requests wait behind it; what answers it later (`answering`) has to see after the next one itself.
- `closing`: the client may take what has been written, and then the connection ends.
- `lingering`: the client has been refused, or is being left. What it still sends is read and dropped, for a while: a
  reset would take the answer away.

The table says what is done on the way, by the names of the connection's methods. What is not listed changes nothing.
"""

WAITING, ARRIVING, BEGINNING, ANSWERING, CLOSING, LINGERING, ABORTED, GONE = STATES = (
    "waiting", "arriving", "beginning", "answering", "closing", "lingering", "aborted", "gone")

# What can happen. Bytes have come, but no whole request; or a whole one.
SOME, WHOLE = "some", "whole"
# A request that has been handed over is not answered yet.
PENDING = "pending"
# An answer is complete: the client may go on, has begun to, or can't.
ANSWERED, ANSWERED_AMID, ANSWERED_LAST = "answered", "answered amid the next", "answered last"
# What has come can't be read; its time is over, while a request is being read, or otherwise.
REFUSED, LATE, OVERDUE = "refused", "late", "overdue"
HALF_CLOSED, DRAIN, ABORT, LOST = "half closed", "drain", "abort", "lost"

INPUTS = (SOME, WHOLE, PENDING, ANSWERED, ANSWERED_AMID, ANSWERED_LAST, REFUSED, LATE, OVERDUE, HALF_CLOSED, DRAIN,
          ABORT, LOST)

NOTHING = "_nothing"

# A line: in this state, on this input, go to that state and do this.
TRANSITIONS = (
    (WAITING, SOME, ARRIVING, "_arrives"),
    (WAITING, WHOLE, BEGINNING, "_begin"),
    (WAITING, REFUSED, LINGERING, "_refuse"),
    (WAITING, OVERDUE, LINGERING, "_leave"),
    (WAITING, HALF_CLOSED, CLOSING, "_close"),
    (WAITING, DRAIN, CLOSING, "_close_in_time"),
    (ARRIVING, WHOLE, BEGINNING, "_begin"),
    (ARRIVING, REFUSED, LINGERING, "_refuse"),
    (ARRIVING, LATE, LINGERING, "_refuse_late"),
    (ARRIVING, OVERDUE, LINGERING, "_leave"),
    (ARRIVING, HALF_CLOSED, CLOSING, "_close"),
    (ARRIVING, DRAIN, CLOSING, "_close_in_time"),
    (BEGINNING, PENDING, ANSWERING, NOTHING),
    (BEGINNING, ANSWERED, WAITING, "_rest"),
    (BEGINNING, ANSWERED_AMID, ARRIVING, "_arrives"),
    (BEGINNING, ANSWERED_LAST, CLOSING, "_end"),
    (ANSWERING, ANSWERED, WAITING, "_rest_and_go_on"),
    (ANSWERING, ANSWERED_AMID, ARRIVING, "_arrives_and_goes_on"),
    (ANSWERING, ANSWERED_LAST, CLOSING, "_end"),
    (CLOSING, OVERDUE, LINGERING, "_leave"),
    (LINGERING, OVERDUE, ABORTED, "_break_off"),
    (LINGERING, HALF_CLOSED, LINGERING, "_close"),
    *((state, ABORT, ABORTED, "_break_off") for state in STATES[:-2]),
    *((state, LOST, GONE, NOTHING) for state in STATES),
)


def table() -> dict[str, dict[str, tuple[str, str]]]:
    """What to go to and what to do, by state and input."""
    listed = {(state, happened): (following, act) for state, happened, following, act in TRANSITIONS}
    return {state: {happened: listed.get((state, happened), (state, NOTHING)) for happened in INPUTS}
            for state in STATES}
