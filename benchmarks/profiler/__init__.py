"""What looking closer costs, and whether what it says is true: ``python -m benchmarks.profiler --help``."""
