from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.conversion.names import why
from proxy.people.unusable import UnusableError
from tests.support.conversions import converted

_WORDS = (
    "http server location upstream if map return rewrite proxy_pass listen server_name set"
    " deny allow proxy_set_header add_header try_files limit_except access_log error_log"
    " ssl_certificate internal ~ ~* ^~ = / /a /a/ ^/(.*)$ $1 $host $uri $http_x $pool http://a"
    " http://$pool 80 443 ssl default_server 301 503 444 off on default b a:1 backup weight=2"
    " max_fails=x last break permanent ($http_x = 1) @n"
)
WORDS = st.sampled_from(_WORDS.split())
_WHOLE = (
    "upstream b { server a max_fails=x fail_timeout=y max_conns=z weight=q; hash $x; }",
    "upstream b { server unix:/x; server [::1]:80 backup; server 127.1; server a:99999; }",
    "location /$x/ { proxy_pass http://b; }",
    "location ~ ^/(a { proxy_pass http://b/$1; }",
    "location ~ ^/(?<a>x)(.*)$ { proxy_pass http://b/$a/$2?x; proxy_next_upstream_tries x; }",
    "location / { proxy_pass $pool; set $pool http://b; if ($http_x) { set $pool b; } }",
    "location / { proxy_pass http://$pool:80; } map $http_x $pool { default b; ~^a c; '' d; }",
    "location / { rewrite ^(.*)$ $2 last; rewrite ( x break; rewrite ^/a$ /b?c permanent; }",
    "location /a { location ~ b { deny all; } location /c { return 999; } limit_except; }",
    "return 301; add_header A; add_header A '$no'; return 200 'a\nb'; default_type '';",
    "location /\xe4 { proxy_pass https://b; proxy_ssl_verify on; client_max_body_size x; }",
    "listen [::; listen unix:; listen 0; listen a:b; listen 443 ssl; ssl_protocols SSLv3;",
    "server_name ~x *.a.* a..b .c; access_log; error_log x y; keepalive_timeout x;",
    "try_files $uri @n; location @n { proxy_pass http://b; } location @n { return; }",
    "if; if ($x; if ($http_a = b) { rewrite; proxy_pass http://$x; return 200 $y; }",
)
LINES = st.recursive(
    st.lists(WORDS, min_size=1, max_size=5).map(lambda words: " ".join(words) + ";")
    | st.sampled_from(_WHOLE),
    lambda inner: st.tuples(
        st.lists(WORDS, min_size=1, max_size=3), st.lists(inner, max_size=5)
    ).map(lambda block: " ".join(block[0]) + " {\n" + "\n".join(block[1]) + "\n}"),
    max_leaves=20,
)


def assert_one_line(text: str) -> None:
    assert "\n" not in text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LINES, max_size=6).map("\n".join) | st.text())
def test_any_text_becomes_what_loads_or_is_refused_in_words(text: str) -> None:
    try:
        found = converted(f"http {{ server {{ {text} }} {text} }}")
    except UnusableError as error:
        assert_one_line(str(error))
        return
    assert isinstance(found.settings["routes"], list)
    assert all(line.startswith("nginx.conf:") for line in found.left_out)


def test_what_nobody_reads_is_named_with_its_line() -> None:
    found = converted(
        "http {\n gzip on;\n sendfile on;\n server {\n  brotli on;\n  return 204;\n }\n}"
    )

    assert found.left_out == [
        f"nginx.conf:2: gzip: {why('gzip')}",
        "nginx.conf:5: brotli: it has no counterpart; see whether you need what it does",
    ]


def test_a_file_of_one_site_will_do() -> None:
    assert converted("server { listen 80; return 204; }").ways == [("", 204)]


def test_routes_say_where_they_come_from() -> None:
    text = converted("http {\n server {\n  return 204;\n }\n}").proxy_text

    assert "  # nginx.conf:3 return\n" in text
