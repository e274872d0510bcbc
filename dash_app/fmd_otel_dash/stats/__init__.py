"""Statistics over latency buckets: pure functions, no database and no drawing."""
