"""The nouns of the inventory that have no module; who writes one deletes its line."""

UNWRITTEN = frozenset(
    [
        "activities",
        "broadcast_actions",
        "campaign_actions",
        "campaigns",
        "newsletter_contents",
        "newsletter_languages",
        "newsletter_test_groups",
        "newsletters",
        "objects",
        "sender_identities",
        "snippets",
    ]
)
