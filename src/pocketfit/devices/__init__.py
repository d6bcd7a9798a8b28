"""Where artifacts are timed: this host."""
