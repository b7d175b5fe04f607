"""What happened, told: written down once, kept for a while, and handed to everyone who listens."""
