"""Where the sidecar and its peers disagree on purpose: every difference, with the reason for it.

The peers are Debian 12's nginx 1.22 and HAProxy 2.6; others may draw a line elsewhere.
"""

import re
from typing import Final, NamedTuple


class Stricter(NamedTuple):
    """Refused by the sidecar alone: what it says then, why, and which oddities show it."""

    says: re.Pattern[str]
    reason: str
    names: frozenset[str] = frozenset()


def _stricter(says: str, reason: str, *names: str) -> Stricter:
    return Stricter(re.compile(says), reason, frozenset(names))


# "Strictness" and "Calls" are sections of the HTTP contract.
STRICTER: Final = {
    "bare-line-end": _stricter(
        "Expected CRLF after version|Missing expected CR after header value|a bare CR or LF stands",
        "Strictness: bare CR or LF. RFC 9112, 2.2 lets a recipient take a lone LF for a line's end;"
        " whoever does not then reads another message.",
        *("line: lf-ends-line", "line: lf-in-front", "host: with-lf", "field: lf-ends-field"),
        *("length: hidden-by-lf", "coding: hidden-by-lf", "whole: every-line-ends-with-lf"),
    ),
    "odd-line-start": _stricter(
        "Invalid header field char",
        "Strictness: bare LF, obs-fold. A line of the head has to begin with a token.",
        "whole: head-ends-with-lf",
    ),
    "spaces-in-the-request-line": _stricter(
        "The request line is not",
        "RFC 9112, 3: single spaces part the request line; lenient splitting is a MAY.",
        *("line: two-spaces-before-target", "line: two-spaces-before-version"),
    ),
    "rest-of-a-body": _stricter(
        "its method is not a token",
        "What stands there is the rest of a body that was shorter than its sender meant.",
    ),
    "unknown-method": _stricter(
        "method is not known here",
        "Errors: 501. What an unknown method means for bodies and repeats, nobody here knows.",
        "line: unknown-method",
    ),
    "other-versions": _stricter(
        "Only HTTP/1.0 and HTTP/1.1 are spoken",
        "Strictness: only 1.0 and 1.1 are spoken.",
        "line: version-1.2",
    ),
    "other-schemes": _stricter(
        "The request target is neither a path nor",
        "Strictness: absolute-form has to agree with Host, and there is no gateway to ftp here.",
        "line: target-absolute-of-another-scheme",
    ),
    "target-beyond-ascii": _stricter(
        "Invalid char in url",
        "RFC 3986, 2: a target is ASCII.",
    ),
    "ill-formed-host": _stricter(
        "The Host field is not one host and port",
        "Strictness: ill-formed Host. The peers hand it on, into logs and links.",
        *("host: with-user", "host: with-bad-port", "host: with-long-port"),
        *("host: with-obs-text", "host: bad-ipv6"),
    ),
    "control-bytes": _stricter(
        "Invalid header value char",
        "Strictness: control bytes (RFC 9110, 5.5).",
        *("field: value-with-control", "field: value-with-escape", "field: value-with-delete"),
        "field: value-with-vertical-tab",
    ),
    "uncountable-length": _stricter(
        "Content-Length is not one number",
        "RFC 9110, 8.6: guard against lengths beyond what can be counted; 18 digits are taken.",
        "length: many-leading-zeros",
    ),
    "body-beside-an-upgrade": _stricter(
        "asks for an upgrade can't have a body",
        "Strictness: `Connection: Upgrade` together with a body.",
        "length: beside-upgrade",
    ),
    "size-line-of-a-chunk": _stricter(
        "A chunk's size line is ill-formed",
        "RFC 9112, 7.1: hex digits alone, of a bounded number; no LF and no control byte behind.",
        *("chunk: size-space-behind", "chunk: size-tab-behind", "chunk: size-many-leading-zeros"),
        *("chunk: size-ends-with-lf", "chunk: extension-with-lf", "chunk: extension-with-nul"),
        *("chunk: last-with-lf-extension", "chunk: last-ends-with-lf"),
    ),
    "end-of-a-chunk": _stricter(
        "A chunk is longer than its size says|The chunked coding is broken",
        "RFC 9112, 7.1: CRLF, and nothing else, ends a chunk's data.",
        *("chunk: data-ends-with-lf", "chunk: data-shorter"),
    ),
    "trailers": _stricter(
        "A trailer field is ill-formed",
        "Strictness holds for trailers too: no LF, no fold, no control byte.",
        *("chunk: body-ends-with-lf", "chunk: trailer-folded", "chunk: trailer-ends-with-lf"),
        "chunk: trailer-with-control",
    ),
    "bad-request-timeout": _stricter(
        "Request-Timeout is not a number",
        "Deadlines: a bad value is 400. The field is the sidecar's own.",
    ),
    "pages-from-elsewhere": _stricter(
        "Pages of this origin may not call",
        "Calls: a browser's page from elsewhere must not reach tools on somebody's machine.",
    ),
    "not-in-the-registry": _stricter(
        "Not open: |Namespace not found: |Tool not found: |Nothing is served at |called with POST",
        "Calls: the sidecar serves what its registry names, and matches the bytes that were sent.",
        *("line: target-with-dots", "line: target-with-coded-dots"),
        *("line: target-with-backslash", "line: target-with-coded-slash"),
    ),
}
# Where a peer's verdict hangs on how its reads fall: HAProxy may have sent the body by then.
UNSTEADY: Final = frozenset({"chunk: trailer-space-before-colon"})
# Forwarded by the sidecar alone, and why.
LAXER: Final = {
    "field: field-of-20-kilobytes": "Limits: a head has 32 KiB; the peers' buffers are smaller.",
    "whole: 1.0-head-with-length-and-tab": "RFC 9110, 5.6.3: a tab behind a value is white space,"
    " though not for nginx; and a length frames a HEAD of 1.0 too, though not for HAProxy.",
}
