"""The command line: one file per verb, gathered in `app`."""
