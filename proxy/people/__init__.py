"""The command line for people: what is there, what happens, call it; against a running sidecar."""
