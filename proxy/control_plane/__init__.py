"""aiohttp behind the strict parser: health, catalogue, metrics, and the active probes."""
