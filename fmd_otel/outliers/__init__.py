"""Outliers: requests that take much longer than their endpoint's average, with all that may explain why."""
