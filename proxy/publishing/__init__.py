"""What people do to a registry before and after it runs: keys, signatures, comparison, history."""
