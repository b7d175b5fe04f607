"""What happened, written down once; and those who read it."""
