"""What `ciolake doctor` looks at: every hop of an event, from its signature to its row.

A check is a function of a `DoctorContext` that returns a `CheckResult`; `run.checks` has them in
order. They change nothing but for a probe file that is removed again, and the canary event, which
stays.
"""
