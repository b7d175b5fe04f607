from benchmarks.tables import table


def test_a_table_stands_between_empty_lines() -> None:
    lines = [*table(("proxy", "calls/s"), [("nginx", "1"), ("Envoy", "2")])]

    assert lines == [
        "",
        "| proxy | calls/s |",
        "| --- | --- |",
        "| nginx | 1 |",
        "| Envoy | 2 |",
        "",
    ]
