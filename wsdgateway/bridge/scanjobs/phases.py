"""The phases of a scan job of the gateway's own at the scanner, and their order::

    queued ──────► creating ──────► recording ──────► retrieving ──────► over
             its      │ ▲  created            stored   ▲  │  │   last
             turn     ▼ │                              │  │  │   image
                     busy          no image now, no    │  │  │ refused, broken off
                                   room: paused, full ─┘◄─┘  └──────► judging ──────► over
                                                                             no more
    recording, retrieving, paused, full ──canceled, or cannot go on──┐
    creating ──created, but canceled meanwhile──────────────────────┤
    judging ──still active at the scanner───────────────────────────┴──► canceling ──answered──► over

    queued, busy ──canceled──► over        creating ──refused──► over

- Busy: the scanner accepts no job now, and is asked again for a while. Paused: it gave no image now; the same page is
  asked for again after a pause.
- Full: the spool has no room for another page, and none is asked for until it has, for at most `FULL_SECONDS`.
- Judging: after a refusal, the scanner is asked for the job's status, which tells a jam from an empty feeder, and
  whether there is a job to cancel; where it gives none, it is asked for its own status. CancelJob is sent only for a
  job that is known to exist and not known to have ended.

`NEXT` lists the changes.
"""

from enum import Enum


class Phase(Enum):
    """The phases."""

    QUEUED = "queued"
    CREATING = "creating"
    BUSY = "the scanner is busy"
    RECORDING = "recording"
    RETRIEVING = "retrieving"
    PAUSED = "paused"
    FULL = "the spool is full"
    JUDGING = "judging"
    CANCELING = "canceling"
    OVER = "over"


(QUEUED, CREATING, BUSY, RECORDING, RETRIEVING, PAUSED, FULL, JUDGING, CANCELING, OVER) = Phase

NEXT = {
    QUEUED: (CREATING, OVER),
    CREATING: (CREATING, BUSY, RECORDING, CANCELING, OVER),
    BUSY: (CREATING, OVER),
    RECORDING: (RETRIEVING, FULL, CANCELING, OVER),
    RETRIEVING: (RETRIEVING, PAUSED, FULL, JUDGING, CANCELING, OVER),
    PAUSED: (RETRIEVING, FULL, CANCELING, OVER),
    FULL: (RETRIEVING, CANCELING, OVER),
    JUDGING: (CANCELING, OVER),
    CANCELING: (OVER,),
    OVER: (),
}
