"""Make events as Customer.io would report them, and send them as Customer.io does.

`sample_workspace` says who sends what to whom, `payload` and `wording` what an event looks like,
`message_lifecycle` which events a message has and when, `traffic` joins them to a stream. Pure.
"""
