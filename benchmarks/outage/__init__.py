"""What the users of a monitored application notice while its database is locked, gone or stopped."""
