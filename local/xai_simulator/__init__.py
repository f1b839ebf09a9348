"""xAI's media API on localhost, to the wire contract: for tests and for trying clients out."""
