"""Messages as bytes: joined as the grammar has it, and otherwise exactly as given."""


def message(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Start line, fields and body."""
    return b"\r\n".join((line, *fields, b"", body))


def post(target: str, *fields: bytes, body: bytes = b"{}") -> bytes:
    """A POST with a counted body."""
    length = b"Content-Length: %d" % len(body)
    return message(b"POST %s HTTP/1.1" % target.encode(), b"Host: a", length, *fields, body=body)


def get(target: str, *fields: bytes) -> bytes:
    """A GET without a body."""
    return message(b"GET %s HTTP/1.1" % target.encode(), b"Host: a", *fields)


def post_chunked(target: str, *fields: bytes, body: bytes) -> bytes:
    """A POST whose body is the given bytes, chunk sizes and all."""
    line = b"POST %s HTTP/1.1" % target.encode()
    return message(line, b"Host: a", b"Transfer-Encoding: chunked", *fields, body=body)


def chunked(*pieces: bytes) -> bytes:
    """A whole chunked body without extensions or trailers."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def ok(body: bytes = b"ok", *fields: bytes) -> bytes:
    """A complete 200 with a counted body."""
    return message(b"HTTP/1.1 200 OK", *fields, b"Content-Length: %d" % len(body), body=body)
