"""Tests of admin.chart: the image, its description, and the table with the same numbers."""

import re

from tests.admin.descriptions import html, text
from wsdgateway.admin.chart import HEIGHT, chart
from wsdgateway.metrics import Totals

QUIET = [Totals()] * 60


def test_an_hour_without_requests_is_a_sentence():
    assert text(html(chart(QUIET, "hour"))) == "No requests in the last hour."


def test_the_highest_bar_has_the_full_height_and_parts_in_proportion():
    made = html(chart([*QUIET[:-2], Totals(here=3, there=1), Totals(here=1)], "hour"))
    bars = re.findall(r'<rect class="(\w+)" x="(\d+)" y="([\d.]+)" width="\d+" height="([\d.]+)"', made)
    assert [(name, int(x), float(y), float(height)) for name, x, y, height in bars] == [
        ("there", 580, 75.0, 25.0), ("here", 580, 0.0, 75.0), ("here", 590, 75.0, 25.0)]
    assert f'viewBox="0 0 600 {HEIGHT}"' in made


def test_the_numbers_are_in_the_description_and_in_a_table():
    made = html(chart([Totals(here=1000), *QUIET[2:], Totals(here=3, there=2)], "hour"))
    assert ('role="img" aria-label="1,003 requests were answered by the gateway, 2 were forwarded to a scanner. '
            'At most 1,000 in a minute."') in made
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="number">(.*?)</td><td class="number">(.*?)</td>', made)
    assert rows[0] == ("60 to 50 minutes ago", "1,000", "0") and rows[-1] == ("10 to 0 minutes ago", "3", "2")
    assert len(rows) == 6 and " style=" not in made
