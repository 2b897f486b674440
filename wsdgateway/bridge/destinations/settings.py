"""The settings of a destination that its scans depend on; `config.sections.Destination` has them."""

from typing import Protocol


class Settings(Protocol):
    """A destination. `format` is "pdf", "jpeg", "png" or "tiff", and `file` the pattern for names of files.

    `source` is "auto", "platen", "adf" or "duplex"; `resolution` is in dots per inch, `color` "color", "gray" or "bw",
    and None leaves either to the panel.
    """

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def resolution(self) -> int | None: ...
    @property
    def color(self) -> str | None: ...
