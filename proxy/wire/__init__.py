"""The grammar of HTTP/1.1 as values and pure functions: heads, framing, forwarding, trace."""
