"""Reporting webhooks: signature, kinds of events, a sender of signed events, configuration."""
