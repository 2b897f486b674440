"""The states of a client's connection, and the transitions between them.

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

    abort: also from any other state, to aborted. lost: from any state to gone.

- `waiting`: no part of a request has arrived. `arriving`: data has arrived that may become one.
- `beginning`: a request has been handed over and its handler has not returned yet. An answer in this state is followed
  by the next request in a loop, so that many queued requests do not recurse; an answer in `answering` must start the
  next request itself.
- `closing`: the connection ends when the client has read what was written.
- `lingering`: the client has been refused, or is being disconnected. Its data is read and discarded for a while, since
  resetting the connection could destroy the answer.

The table names the connection's method to call on each transition. Inputs that are not listed change nothing.
"""

WAITING, ARRIVING, BEGINNING, ANSWERING, CLOSING, LINGERING, ABORTED, GONE = STATES = (
    "waiting", "arriving", "beginning", "answering", "closing", "lingering", "aborted", "gone")

# The inputs. Data has arrived, without or with a complete request.
SOME, WHOLE = "some", "whole"
# A request that has been handed over is not answered yet.
PENDING = "pending"
# An answer is complete, and the client may send the next request, has begun to, or cannot send any.
ANSWERED, ANSWERED_AMID, ANSWERED_LAST = "answered", "answered during the next one", "answered last"
# The data cannot be read; a time limit has ended, while a request is being read or otherwise.
REFUSED, LATE, OVERDUE = "refused", "late", "overdue"
HALF_CLOSED, DRAIN, ABORT, LOST = "half closed", "drain", "abort", "lost"

INPUTS = (SOME, WHOLE, PENDING, ANSWERED, ANSWERED_AMID, ANSWERED_LAST, REFUSED, LATE, OVERDUE, HALF_CLOSED, DRAIN,
          ABORT, LOST)

NOTHING = "_nothing"

# Each line: the state, the input, the next state, and the method to call.
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
    """The next state and the method to call, by state and input."""
    listed = {(state, happened): (following, act) for state, happened, following, act in TRANSITIONS}
    return {state: {happened: listed.get((state, happened), (state, NOTHING)) for happened in INPUTS}
            for state in STATES}
