"""Dataclasses to plain plotly dictionaries; no dash, and no plotly import either."""
