"""Which registry runs, where it came from, who signed it, and what differs from the one before."""
