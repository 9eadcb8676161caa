"""A Customer.io that runs on this machine: both APIs, and the sender of reporting webhooks.

`simulator.Simulator` connects the parts. `server` and `dispatch` take calls. `app_api` (one module
a noun) and `pipelines` answer them from the state in `workspace`. `driver` advances the clock and
posts the webhooks. `control` is an interface that the vendor does not have: it sets time and
faults, and shows signing keys and what was sent.
"""
