"""Exceptions: counted whenever they come, and kept with their frames a few times each."""
