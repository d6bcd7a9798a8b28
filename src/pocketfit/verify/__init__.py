"""Is an artifact's answer right: run it, compare it with the plan's simulation, and score its answers."""
