"""Load on a deployment of one's own: made on a schedule, measured, judged."""
