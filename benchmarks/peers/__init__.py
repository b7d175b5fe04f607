"""The proxies that are measured: a module for each."""
