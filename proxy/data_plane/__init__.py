"""The way of a call: a caller's connection, the exchange, the pool, an upstream's connection."""
