"""Clients as tests need them: the guide's, but with waits that are short."""

from typing import Any, Final

from proxy.client import GatewayClient

QUICK: Final = {"max_attempts": 3, "initial_delay": 0.01, "max_delay": 5.0}


def quick_client(url: str, **options: Any) -> GatewayClient:
    """Its back-off is 10 ms, everything else as it comes."""
    return GatewayClient(url, **{"retry_config": QUICK, **options})
