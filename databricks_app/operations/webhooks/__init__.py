"""The steps that make a reporting webhook work: keys, a signed event of our own, addresses.

`ciolake webhooks` talks to people; these modules do the work. What a webhook is and how it is
changed stands in `core.webhooks.config` and `core.webhooks.apply`.
"""
