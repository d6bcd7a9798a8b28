"""Which artifact to ship: what a budget allows, and the choice per runtime."""
