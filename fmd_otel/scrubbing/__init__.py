"""Scrubbing: what a request carries is made fit to be kept, before it is stored anywhere."""

from fmd_otel.scrubbing.scrubber import SCRUBBED, TRUNCATED, Scrubbed, Scrubber

__all__ = ["SCRUBBED", "TRUNCATED", "Scrubbed", "Scrubber"]
