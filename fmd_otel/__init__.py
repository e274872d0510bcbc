"""OpenTelemetry distribution for Flask."""
