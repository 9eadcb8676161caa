"""The checks of `ciolake doctor`: every step of an event, from its signature to its row.

A check is a function that takes a `DoctorContext` and returns a `CheckResult`. `run.checks` lists
the checks in order. Checks change nothing, with two exceptions: a probe file, which is removed
again, and the canary event, which stays.
"""
