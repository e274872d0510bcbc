"""The demo: the example shop under load, a month of its past, and the dashboard that shows both."""
