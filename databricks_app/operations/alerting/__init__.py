"""Rules that decide when an alert begins and ends, and the process that posts it."""
