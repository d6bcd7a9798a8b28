"""Where to measure an artifact: on this host, or on a phone over adb; once, or for minutes."""
