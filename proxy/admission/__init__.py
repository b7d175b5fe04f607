"""Who calls, and may they: what a call is shown to before an endpoint is chosen."""
