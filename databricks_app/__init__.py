"""Receive Customer.io reporting webhooks and turn them into Delta tables."""
