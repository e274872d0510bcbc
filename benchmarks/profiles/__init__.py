"""What a stored profile costs, beside Flask-MonitoringDashboard's stack lines, and how fast all are read."""
