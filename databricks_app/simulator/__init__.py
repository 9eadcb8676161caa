"""A Customer.io that runs on this machine: both APIs, and the sender of reporting webhooks.

`simulator.Simulator` joins it: `server` and `answering` take calls, `app_api` (a module for each
noun) and `pipelines` answer them out of `workspace`, `driver` lets time pass and posts.
`control` is the interface that the vendor has not: time, faults, signing keys, what was sent.
"""
