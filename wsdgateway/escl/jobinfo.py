"""The state of a job, as a scanner lists it. eSCL, JobInfo."""

from typing import Self

import attrs
from lxml import etree

from wsdgateway.escl.reading import child, count, text, texts
from wsdgateway.escl.writing import element, group, listed


@attrs.frozen
class JobInfo:
    """A job: `uri` is a path, `age` the seconds since its last change, `retries` those of the page in transfer."""

    uri: str
    state: str
    uuid: str | None = None
    age: int = 0
    images_completed: int = 0
    images_to_transfer: int | None = None
    retries: int = 0
    reasons: tuple[str, ...] = ()

    def write(self) -> str:
        """The JobInfo element. JobUri is written before JobState, since a client searches the state after it."""
        return group("scan:JobInfo", (
            element("pwg:JobUri", self.uri) + element("pwg:JobUuid", self.uuid) + element("scan:Age", self.age)
            + element("pwg:ImagesCompleted", self.images_completed)
            + element("pwg:ImagesToTransfer", self.images_to_transfer)
            + element("scan:TransferRetryCount", self.retries) + element("pwg:JobState", self.state)
            + listed("pwg:JobStateReasons", "pwg:JobStateReason", self.reasons)))

    @classmethod
    def read(cls, info: etree._Element) -> Self | None:
        """The job in an element; None without its address or state."""
        uri, state = text(info, "JobUri"), text(info, "JobState")
        if uri is None or state is None:
            return None
        return cls(uri, state, text(info, "JobUuid"), count(info, "Age") or 0, count(info, "ImagesCompleted") or 0,
                   count(info, "ImagesToTransfer"), count(info, "TransferRetryCount") or 0,
                   texts(child(info, "JobStateReasons"), "JobStateReason"))
