"""Converts lengths between 1/300 inch of eSCL and 1/1000 inch of WS-Scan.

Sizes that are offered are rounded inwards, so that every region inside them is inside the scanner's own.
"""


def to_thousandths(length: int) -> int:
    """The nearest number of thousandths of an inch; `length` is in 1/300 inch."""
    return (length * 20 + 3) // 6


def largest(length: int) -> int:
    """The most 1/300 inch that fit into a length in thousandths, at least 1."""
    return max(1, length * 3 // 10)


def smallest(length: int) -> int:
    """The fewest 1/300 inch that are not less than a length in thousandths, at least 1."""
    return max(1, -(-length * 3 // 10))
