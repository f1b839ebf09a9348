"""The command line: asks the API for clips, shows what comes of it, runs AWS on this machine."""
