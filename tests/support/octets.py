"""Grammars byte by byte: what each of the 256 is allowed to be, and what a judge makes of it."""

from collections.abc import Callable

EVERY = frozenset(range(256))
DIGITS = frozenset(b"0123456789")
HEX_DIGITS = DIGITS | frozenset(b"abcdefABCDEF")
ALPHA = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# RFC 9110, 5.6.2: tchar
TOKEN = DIGITS | ALPHA | frozenset(b"!#$%&'*+-.^_`|~")
VISIBLE = frozenset(range(0x21, 0x7F))
# RFC 9110, 5.5: VCHAR, obs-text, SP and HTAB
VALUE = frozenset(range(0x20, 0x7F)) | frozenset(range(0x80, 0x100)) | {0x09}
# RFC 3986, 3.2.2: unreserved, sub-delims (a percent sign only before two hex digits)
REG_NAME = DIGITS | ALPHA | frozenset(b"-._~!$&'()*+,;=")
WHITESPACE = frozenset(b" \t")


def put(template: bytes, octet: int) -> bytes:
    """The template with the byte in place of its `@@`."""
    return template.replace(b"@@", bytes([octet]))


def sorted_by(judge: Callable[[bytes], object], template: bytes) -> dict[object, frozenset[int]]:
    """Each verdict, and the bytes that get it at the template's `@@`."""
    found: dict[object, set[int]] = {}
    for octet in EVERY:
        found.setdefault(judge(put(template, octet)), set()).add(octet)
    return {verdict: frozenset(octets) for verdict, octets in found.items()}
