"""What an admin does: deploy, check, set up webhooks, be alerted."""
