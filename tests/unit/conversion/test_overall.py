import pytest

from tests.support.conversions import converted

SERVER = "server { listen 80; return 204; }"


def test_processes_logs_and_limits_are_settings() -> None:
    found = converted(
        "worker_processes auto; error_log /var/log/e.log warn; worker_shutdown_timeout 10s;"
        " events { worker_connections 768; } http { access_log /var/log/a.log combined;"
        " client_header_timeout 20s; keepalive_timeout 65 60; large_client_header_buffers 4 16k;"
        f" set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;"
        f" underscores_in_headers on; {SERVER} }}"
    )

    said = {
        key: value
        for key, value in found.settings.items()
        if key not in {"listen", "routes", "registry"}
    }
    assert (said, found.left_out) == (
        {
            "admin": "127.0.0.1:9901",
            "workers": "auto",
            "log_level": "warning",
            "drain_timeout": "10s",
            "access_log": "/var/log/a.log",
            "trusted_proxies": ["10.0.0.0/8"],
            "underscores": "allow",
            "merge_slashes": True,
            "dot_segments": "resolve",
            "limits": {
                "head_timeout": "20s",
                "idle": "65s",
                "request_line": "16KiB",
                "head": "64KiB",
                "connections": 768,
            },
        },
        [],
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"worker_processes 999; http {{ {SERVER} }}", "expected auto"),
        (f"error_log x loud; http {{ {SERVER} }}", "expected debug"),
        (f"http {{ access_log /a main; {SERVER} }}", "main: lines are combined"),
        (f"http {{ access_log syslog:server=x; {SERVER} }}", "written to a file"),
        ("http { access_log /a; server { access_log off; return 204; } }", "there is one log"),
        (f"http {{ set_real_ip_from 10.0.0.1; {SERVER} }}", "X-Real-IP: who is in front"),
        (f"http {{ keepalive_timeout soon; {SERVER} }}", "no span of time"),
        ("http { server { merge_slashes off; } server { return 204; } }", "for all servers"),
    ],
)
def test_what_settings_cannot_say_is_named(text: str, why: str) -> None:
    assert any(why in line for line in converted(text).left_out)
