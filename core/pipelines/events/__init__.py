"""The semantic events of the vendor: one module for each family, one line for each event.

Each is a `track` call with the exact event name that Customer.io expects.
Source: https://docs.customer.io/integrations/data-in/semantic-events/getting-started/
"""
