"""Make events as Customer.io would report them. Pure.

`sample_workspace` holds people, messages and campaigns. `payload` and `wording` make one event.
`message_lifecycle` decides which events a message has, and when. `traffic` makes a stream of them.
"""
