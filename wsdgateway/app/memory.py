"""Has the C library's allocator keep freed memory, so that large reads do not ask the system for memory each time.

Images are read in pieces of half a megabyte. By default, glibc takes each of these from the system and returns it, or
keeps it, depending on how the heap of the process happens to be laid out. In the first case, every page of an image
causes a page fault: 132,500 for 512 MiB, and one process in two relays at 640 instead of 950 MiB/s for its whole life.
"""

import ctypes

# mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 64 << 20  # free memory at the end of the heap that is not returned to the system
OWN_MAPPING_BYTES = 4 << 20  # pieces of memory from this size on are still returned when they are freed


def keep_freed_memory() -> bool:
    """Have the allocator keep freed memory, up to `KEPT_BYTES`. Returns False if the C library has no mallopt."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
