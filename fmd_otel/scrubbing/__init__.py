"""Scrubbing: what a request carries is made fit to be kept, before it is stored anywhere."""

from fmd_otel.scrubbing.scrubber import TRUNCATED, Scrubbed, Scrubber
from fmd_otel.scrubbing.text import SCRUBBED

__all__ = ["SCRUBBED", "TRUNCATED", "Scrubbed", "Scrubber"]
