"""A sidecar proxy for tool servers. Start at `sidecar`; `README.md` beside this file is the map."""
