"""What becomes of a latency when a device warms up, and what it costs the battery: simulated."""
