"""The tools that every peer offers as `bench.<tool>`; what they answer is the upstreams' matter."""

from typing import Final

TOOLS: Final = ("echo", "vary", "real", "realvary", "up", "down")
