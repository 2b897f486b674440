"""The jobs that began at a scanner while this gateway served it without a lease, and wrote nothing to the server.

If the gateway becomes the owner a moment later, it makes their events, which no subscriber has received. It recognises
the CreateScanJobs that clients repeat, also if it serves the scanner without a lease once more.
"""

import attrs

from wsdgateway.bridge.cache.duplicates import Duplicates


@attrs.frozen
class BegunJobs:
    """The JobIds of jobs, oldest first, and the requests that have created them. `ended_at` is in seconds."""

    job_ids: tuple[str, ...]
    duplicates: Duplicates
    ended_at: float
