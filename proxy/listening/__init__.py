"""Listeners: sockets, what is asked of a connection before its first request, certificates."""
