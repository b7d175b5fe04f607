"""Load and figures: what a call costs here, beside its peers, in one run."""
