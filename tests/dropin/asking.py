"""The same requests for both: varied, and the same whenever they are drawn again."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

REQUESTS: Final = 200
_TAILS: Final = (
    *("", "", "", "a", "a/b", "42", "index.html", "pic.png", "with%20space", "%E4%B8%AD", "a+b"),
    *(
        "a;v=1",
        "~user",
        "%7Euser",
        "a%2Fb",
        "a//b",
        "x/../y",
        "./z",
        "q%3Fr",
        "a%25b",
        "(1)",
        "a'b",
    ),
    *("a:b@c", "name,with,commas", "%C3%BC", "a%2eb", "x/", "deep/" * 12, "*", "a=b&c"),
)
_QUERIES: Final = (
    *("", "", "", "?q=1", "?a=1&b=%20", "?x=%2F..%2F", "?tenant=t1", "??", "?a[]=1&a[]=2"),
    *("?empty=", "?", "?u=http://x/y", "?plus=a+b", "?sem=a;b", "?%61=b"),
)
_METHODS: Final = (
    ("GET",) * 8 + ("POST",) * 4 + ("HEAD", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
)
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_SIZES: Final = (0, 2, 17, 1_000, 9_000, 40_000)
_HEADERS: Final = (
    ("Accept", "text/html;q=0.9, */*"),
    ("Accept-Encoding", "gzip, br"),
    ("Accept-Language", "de"),
    ("Authorization", "Bearer of.a.token"),
    ("Cookie", "user=anna; theme=dark"),
    ("User-Agent", "Mozilla/5.0 (test)"),
    ("X-Client-Version", "1.2.3"),
    ("X-Empty", ""),
    ("X-Latin", "gr\xfc\xdfe"),
    ("Range", "bytes=0-99"),
    ("If-None-Match", '"abc"'),
    ("Referer", "http://elsewhere.example/?x=1"),
    ("Cache-Control", "no-cache"),
    ("Origin", "http://page.example"),
    ("X_Underscore", "dropped"),
    ("X-API-Key", "of-the-application"),
    ("Forwarded", "for=203.0.113.7"),
    ("Upgrade-Insecure-Requests", "1"),
    ("TE", "trailers"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Request-Id", "from-the-caller"),
)
_STATUSES: Final = (200,) * 8 + (201, 204, 206, 304, 400, 401, 404, 409, 422, 500)
_BODIES: Final = (0, 1, 300, 5_000, 70_000)


class Asked(NamedTuple):
    """One request, and what the upstream is to answer if it gets there."""

    number: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *map(": ".join, self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    def value(self, name: str) -> str:
        return dict(self.headers).get(name, "")


class Habits(NamedTuple):
    """What is asked of one configuration beside what is asked of all."""

    hosts: Sequence[str]
    paths: Sequence[str]
    headers: Sequence[tuple[str, str]] = ()
    sizes: Sequence[int] = _SIZES


def requests(name: str, habits: Habits) -> Iterator[Asked]:
    """As many as `REQUESTS`, by the name of the configuration."""
    chance = random.Random(name)  # noqa: S311 - hides nothing
    for number in range(REQUESTS):
        method = chance.choice(_METHODS)
        path = chance.choice(habits.paths)
        tail = chance.choice(_TAILS) if path.endswith("/") else ""
        body = chance.randbytes(chance.choice(habits.sizes)) if method in _WITH_BODY else b""
        fields = [("Host", chance.choice(habits.hosts)), ("X-Case", str(number))]
        fields.append(("X-Answer", _answer(chance)))
        fields += chance.sample(_HEADERS, chance.randrange(6))
        if habits.headers and chance.random() < 0.5:
            fields.append(chance.choice(habits.headers))
        if method in _WITH_BODY:
            fields.append(("Content-Length", str(len(body))))
            fields.append(("Content-Type", "application/octet-stream"))
        target = path + tail + chance.choice(_QUERIES)
        yield Asked(number, method, target, tuple(fields), body)


def _answer(chance: random.Random) -> str:
    framing = chance.choice(("counted", "counted", "chunked"))
    return f"{chance.choice(_STATUSES)} {chance.choice(_BODIES)} {framing}"
