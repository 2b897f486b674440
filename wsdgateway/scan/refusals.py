"""The faults of WS-Scan by their meaning for a client, for every client of scanners in this program.

WS-Scan, "Common WSD Scan Service operation error codes". Some scanners answer with an HTTP status and no fault, which
is named `HTTP 503`, and some with the state that keeps them busy in place of a fault.
"""

NO_IMAGES = "ClientErrorNoImagesAvailable"
JOB_NOT_FOUND = "ClientErrorJobIdNotFound"
OPERATION_FAILED = "OperationFailed"
TEMPORARY_ERROR, NOT_ACCEPTING = "ServerErrorTemporaryError", "ServerErrorNotAcceptingJobs"

# After an image, there are no more.
NO_MORE_IMAGES = frozenset((NO_IMAGES, "HTTP 409"))
# The same request may succeed later.
TEMPORARY = frozenset((TEMPORARY_ERROR, NOT_ACCEPTING, "HTTP 503", "LampWarming", "Calibrating"))
# The scanner does not know the job, or not any more.
UNKNOWN_JOB = frozenset((JOB_NOT_FOUND, "HTTP 404", "HTTP 410"))
CANCELED = frozenset(("ClientErrorJobCancelled", "ClientErrorJobCanceled"))  # the specification's spelling is first
FORMAT_NOT_SUPPORTED = frozenset(("ClientErrorFormatNotSupported", "ClientErrorDocumentFormatNotSupported"))
# InvalidArgs is a scanner's answer to a value that is out of range.
CONFLICTING = frozenset(("ClientErrorConflictingRequiredParameters", "ConflictingRequiredParameters", "InvalidArgs"))
# Another ticket may be accepted in place of the refused one.
NOT_THIS_TICKET = FORMAT_NOT_SUPPORTED | CONFLICTING
