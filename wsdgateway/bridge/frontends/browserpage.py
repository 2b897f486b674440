"""The page for people who open an address of the gateway in a browser: what it is, and how to add its scanners.

RFC 9110 section 15.5.6: it is the body of the answer 405. It contains no script; all values are escaped.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape

import attrs

from wsdgateway.http.answers import HTTPAnswer

MAX_LISTED = 50  # scanners

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; } code, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
pre { border: 1px solid; border-radius: .4rem; margin: .4rem 0; padding: .5rem .75rem; }
"""
_FIELDS = (
    (b"Allow", b"POST"), (b"Content-Type", b"text/html; charset=utf-8"), (b"Cache-Control", b"no-store"),
    (b"Vary", b"Accept"), (b"X-Content-Type-Options", b"nosniff"), (b"Referrer-Policy", b"no-referrer"),
    # data: is the empty icon, without which a browser would ask for /favicon.ico.
    (b"Content-Security-Policy", b"default-src 'none'; img-src data:; style-src 'sha256-%s'; base-uri 'none'; "
                                 b"form-action 'none'; frame-ancestors 'none'"
     % b64encode(sha256(_STYLE.encode()).digest())))
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - wsdgateway</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>This is wsdgateway, a gateway for WSD scanners. Scanning programs use this address; there are no other pages
here.</p>
{adding}
<h2>More</h2>
{more}
</main>
</body>
</html>
"""
_ADDING = """<h2>Add {it} on a computer</h2>
<p><strong>Linux</strong> (sane-airscan): if scanning programs do not show {it} by themselves, add to
<code>/etc/sane.d/airscan.conf</code>:</p>
<pre>[devices]
{lines}</pre>
<p><strong>Windows</strong>: choose Settings, Bluetooth &amp; devices, Printers &amp; scanners, Add device. Windows
lists {it} in a network in which the gateway announces {them}.</p>
<p><strong>Terminal</strong>:</p>
<pre>wsdgateway scan {url} -o page.pdf</pre>"""
_NO_SCANNERS = "<p>No scanner is available at this address for your computer.</p>"


@attrs.frozen
class Guide:
    """The contents of the page.

    `base` is the URL of the gateway without a path, `scanners` the names of those at the address that the browser asked
    for. `admin` is the URL of the admin site if the page is to name it, `manual` that of the manual if it has one.
    """

    base: str
    scanners: Sequence[str]
    title: str
    admin: str | None = None
    manual: str | None = None


def wants_html(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True if Accept names text/html, as browsers do, with a weight above 0. RFC 9110 section 12.5.1."""
    return any(name.lower() == b"accept" and any(map(_is_html, value.split(b","))) for name, value in headers)


def _is_html(accepted: bytes) -> bool:
    media_type, *parameters = (part.strip().lower() for part in accepted.split(b";"))
    if media_type != b"text/html":
        return False
    weights = [value.strip() for name, _, value in (one.partition(b"=") for one in parameters) if name.strip() == b"q"]
    return not weights or weights[0].strip(b"0.") != b""


def airscan_line(name: str, url: str) -> str:
    """The line for the section [devices] of sane-airscan's configuration file; `url` is that of the scan service."""
    return f'"{name}" = {url}, WSD'


def write_guide(guide: Guide) -> HTTPAnswer:
    """Write the page as the answer 405."""
    names = guide.scanners[:MAX_LISTED]
    urls = [f"{guide.base}/{name}/scan" for name in names]
    lines = "\n".join(airscan_line(name, url) for name, url in zip(names, urls, strict=True))
    if len(guide.scanners) > MAX_LISTED:
        lines += f"\n# and {len(guide.scanners) - MAX_LISTED} more"
    adding = _NO_SCANNERS if not names else _ADDING.format(
        it="the scanner" if len(names) == 1 else "the scanners", them="it" if len(names) == 1 else "them",
        lines=escape(lines), url=escape(urls[0]))
    page = _PAGE.format(title=escape(guide.title), style=_STYLE, adding=adding, more=_more(guide))
    return HTTPAnswer(405, page.encode("utf-8", "replace"), _FIELDS)


def _more(guide: Guide) -> str:
    if guide.manual is None:
        manual = ("The manual is in <code>share/doc/wsdgateway/docs</code> of the gateway's installation; on its host, "
                  "<code>man wsdgateway</code> shows the commands.")
    else:
        manual = f'<a href="{escape(guide.manual)}">The manual of wsdgateway</a>'
    admin = "" if guide.admin is None else (
        f'\n<p><a href="{escape(guide.admin)}">The admin site of this gateway</a> shows its scanners and jobs.</p>')
    return f"<p>{manual}</p>{admin}"
