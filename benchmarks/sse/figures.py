"""What is measured of a fan-out."""

from typing import Final

from benchmarks.figures import Figure

CPU_DELIVERY: Final = Figure("cpu_us_per_delivery", "CPU µs/delivery", 2)
CPU_FAN_OUT: Final = Figure("cpu_us_per_delivery_alone", "without the calls'", 2)
RATE: Final = Figure("deliveries_per_s", "deliveries/s", 0)
LOST: Final = Figure("lost", "lost, twice, out of order", 0)
DELAY_P50: Final = Figure("delay_p50_ms", "delay p50 ms", 2)
DELAY_P99: Final = Figure("delay_p99_ms", "delay p99 ms", 2)
CALL_P99: Final = Figure("call_p99_ms", "calls' p99 ms", 2)
CALL_RISE: Final = Figure("call_p99_rise_ms", "more than without subscribers", 2)
PER_SUBSCRIBER: Final = Figure("subscriber_kib", "KiB/idle subscriber", 1)
EVENT: Final = Figure("event_bytes", "bytes/event", 0)
BUSY: Final = Figure("other_core_percent", "other core busy, %", 0)

DELAY_BEFORE: Final = Figure("delay_p99_before_ms", "delay p99 ms before", 2)
DELAY_BESIDE: Final = Figure("delay_p99_beside_ms", "delay p99 ms beside it", 2)
DELAY_RISE: Final = Figure("delay_p99_rise_ms", "more", 2)
GROWTH: Final = Figure("growth_mib", "memory + MiB", 2)
