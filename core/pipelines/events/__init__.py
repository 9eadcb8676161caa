"""The vendor's semantic events: one module a family, one line an event.

Each is a `track` call whose `event` is the exact name that Customer.io acts upon.
Source: https://docs.customer.io/integrations/data-in/semantic-events/getting-started/
"""
