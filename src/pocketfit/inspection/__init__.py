"""What a model costs before anything is done to it."""
