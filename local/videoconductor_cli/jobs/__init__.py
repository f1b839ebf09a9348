"""Jobs files: a list of clips made straight at xAI, without AWS, and kept in a folder."""
