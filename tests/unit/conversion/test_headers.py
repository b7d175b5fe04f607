from tests.support.conversions import of_server

ONWARD = "proxy_pass http://127.0.0.1:9001;"


def test_headers_of_a_level_take_the_place_of_those_around_it() -> None:
    found = of_server(
        f"proxy_set_header A 1; location /x {{ {ONWARD} proxy_set_header B 2; }}"
        f" location / {{ {ONWARD} }}"
    )

    assert [route["request_headers"] for route in found.routes] == [
        {"set": {"B": "2"}},
        {"set": {"A": "1"}},
    ]


def test_host_is_the_upstreams_name_as_nginx_has_it() -> None:
    found = of_server("location / { proxy_pass http://b; }", "upstream b { server a; }")

    assert found.routes[0]["request_headers"] == {"set": {"Host": "b"}}


def test_what_the_sidecar_says_itself_is_not_said_twice() -> None:
    found = of_server(
        "location / { proxy_pass http://127.0.0.1:9001;"
        " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        " proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Upgrade $http_upgrade;"
        ' proxy_set_header Connection "upgrade"; proxy_set_header X-Request-ID $request_id; }'
    )

    assert ("request_headers" in found.routes[0], found.left_out) == (False, [])


def test_another_word_for_it_is_said() -> None:
    found = of_server(f"location / {{ {ONWARD} proxy_set_header X-Forwarded-Proto https; }}")

    assert found.routes[0]["request_headers"] == {"set": {"X-Forwarded-Proto": "https"}}


def test_an_empty_value_takes_the_header_away() -> None:
    found = of_server(f'location / {{ {ONWARD} proxy_set_header Accept-Encoding ""; }}')

    assert found.routes[0]["request_headers"] == {"remove": ["Accept-Encoding"]}


def test_an_unknown_variable_and_framing_are_named() -> None:
    found = of_server(
        f"location / {{ {ONWARD} proxy_set_header A $remote_user;\n"
        "proxy_set_header Content-Length 1; }"
    )

    assert [line.split(": ")[2][:29] for line in found.left_out] == [
        "there is no variable $remote_",
        "Content-Length is the sidecar",
    ]


def test_answers_get_headers_and_lose_some() -> None:
    found = of_server(f"location / {{ {ONWARD} add_header A $host always; proxy_hide_header B; }}")

    assert found.routes[0]["response_headers"] == {"set": {"A": "$host"}, "remove": ["B"]}


def test_what_would_take_the_upstreams_place_is_named() -> None:
    found = of_server(
        f"location / {{ {ONWARD} add_header Set-Cookie a=1; add_header A 1; add_header A 2; }}"
    )

    assert (found.routes[0]["response_headers"], len(found.left_out)) == ({"set": {"A": "1"}}, 2)


def test_an_own_answer_has_what_is_meant_for_its_status() -> None:
    found = of_server("add_header A 1; add_header B 2 always; return 503 no;")

    assert found.routes[0]["respond"]["headers"] == {"B": "2"}
