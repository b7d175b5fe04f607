"""Decisions without I/O: which tool, which endpoint, may it go now."""
