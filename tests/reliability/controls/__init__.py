"""Submits as they are written elsewhere. The suite must show that they pay twice."""
