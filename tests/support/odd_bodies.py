"""Verified bodies that no sender should make, and that must be stored all the same."""

from __future__ import annotations

import json

from benchmarks.harness.events import event

ODD_BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "an array": b"[1]",
    "invalid UTF-8": b'{"event_id": "\xff"}',
    "NUL in the bytes": b'{"event_id": "a\x00b"}',
    "NUL escaped": json.dumps({"event_id": "nul", "data": {"subject": "a\x00b"}}).encode(),
    "lone surrogate": b'{"event_id":"s1","object_type":"email","metric":"sent",'
    b'"timestamp":1763800000,"data":{"subject":"\\ud800"}}',
    "an id with a lone surrogate": b'{"event_id":"\\ud800","object_type":"email","metric":"sent"}',
    "duplicate keys": b'{"event_id":"d1","event_id":"d2","object_type":"email","metric":"sent"}',
    "an integer beyond 64 bits": b'{"event_id":"i1","object_type":"email","metric":"clicked",'
    b'"data":{"link_id":123456789012345678901234567890}}',
    "an integer of 5,000 digits": b'{"event_id":"i2","data":' + b"9" * 5000 + b"}",
    "numbers as strings": b'{"event_id":"n1","object_type":"email","metric":"sent",'
    b'"timestamp":"1763800000","data":{"campaign_id":"7","customer_id":8}}',
    "a null object": b'{"event_id":"o1","object_type":"email","metric":"sent","data":null}',
    "no data": b'{"event_id":"o2","object_type":"email","metric":"sent"}',
    "nested 20,000 deep": b'{"event_id":"deep","data":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "an empty id": b'{"event_id":"","object_type":"email","metric":"sent"}',
    "an id of 10 kB": json.dumps({"event_id": "x" * 10_000, "metric": "sent"}).encode(),
    "an id with quotes": json.dumps(
        {"event_id": "it's \"x\" -- '; DROP", "object_type": "sms", "metric": "sent"}
    ).encode(),
    "a customer event of a channel": b'{"event_id":"c1","object_type":"email",'
    b'"metric":"subscribed","timestamp":1763800000,"data":{"email_address":"p@example.com"}}',
    "preferences without a type": b'{"event_id":"c2","timestamp":1763800000,'
    b'"metric":"cio_subscription_preferences_changed","data":{"content":"{}"}}',
    "an unknown type": b'{"event_id":"u1","object_type":"pigeon","metric":"sent"}',
    "a timestamp far ahead": b'{"event_id":"t1","object_type":"email","metric":"sent",'
    b'"timestamp":99999999999999}',
    "a negative timestamp": b'{"event_id":"t2","object_type":"email","metric":"sent",'
    b'"timestamp":-1}',
    "a fraction of a second": b'{"event_id":"t3","object_type":"email","metric":"sent",'
    b'"timestamp":1763800000.5}',
    "a timestamp in words": b'{"event_id":"t4","object_type":"email","metric":"sent",'
    b'"timestamp":"yesterday"}',
    "20 MB": event("large", padding=20 << 20),
    "60 MB": event("too large", padding=60 << 20),
}
