"""Setup of a reporting webhook: signing keys, test events, key rotation, sender addresses.

`ciolake webhooks` is the user interface of these modules. `core.webhooks.config` and
`core.webhooks.apply` describe and change the webhook itself.
"""
