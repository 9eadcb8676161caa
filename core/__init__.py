"""Talk to Customer.io: its App API, its Data Pipelines API and its reporting webhooks."""
