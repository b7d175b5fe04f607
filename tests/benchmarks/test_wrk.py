import pytest

from benchmarks.processes import UnusableError
from benchmarks.wrk import WrkLoad, understood

SAID = """\
Running 3s test @ http://127.0.0.1:8080/tools/bench.echo
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   603.85us  410.23us   9.99ms   95.01%
    Req/Sec    54.40k     3.21k   60.12k    78.00%
  Latency Distribution
     50%  {p50}
     75%  700.00us
     90%    0.90ms
     99%    {p99}
  108283 requests in 2.01s, 28.40MB read
{errors}Requests/sec:  53872.14
Transfer/sec:     14.13MB
"""


def said(p50: str = "515.00us", p99: str = "1.81ms", errors: str = "") -> str:
    return SAID.format(p50=p50, p99=p99, errors=errors)


def test_figures_of_a_load_are_found() -> None:
    load = understood(said())

    assert load == WrkLoad(calls=108283, failed=0, calls_per_s=53872.14, p50_ms=0.515, p99_ms=1.81)


@pytest.mark.parametrize(
    ("written", "ms"),
    [("515.00us", 0.515), ("1.81ms", 1.81), ("1.05s", 1050.0), ("1.50m", 90_000.0)],
)
def test_times_are_milliseconds_whatever_their_unit(written: str, ms: float) -> None:
    assert understood(said(p99=written)).p99_ms == pytest.approx(ms)


@pytest.mark.parametrize(
    ("errors", "failed"),
    [
        pytest.param("  Non-2xx or 3xx responses: 7\n", 7, id="refused"),
        pytest.param(
            "  Socket errors: connect 1, read 2, write 3, timeout 4\n", 10, id="broken-off"
        ),
        pytest.param(
            "  Socket errors: connect 0, read 2, write 0, timeout 0\n"
            "  Non-2xx or 3xx responses: 5\n",
            7,
            id="both",
        ),
    ],
)
def test_calls_that_failed_are_counted(errors: str, failed: int) -> None:
    assert understood(said(errors=errors)).failed == failed


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("", id="nothing"),
        pytest.param("unable to connect to 127.0.0.1:9 Connection refused", id="refused"),
        pytest.param(said(p50="-nan"), id="no-time"),
    ],
)
def test_anything_else_is_no_measurement(words: str) -> None:
    with pytest.raises(UnusableError, match="wrk said"):
        understood(words)
