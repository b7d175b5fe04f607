"""Which servers and tools there are, from file to live table."""
