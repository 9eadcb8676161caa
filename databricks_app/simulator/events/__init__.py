"""Make events as Customer.io would report them, and send them as Customer.io does.

`workspace` and `events` say what a workspace's messages look like, `lives` what becomes of them
over time; these three are pure. `destination`, `sender` and `flood` post events with a signature.
"""
