"""Turn the bytes of an event into rows: envelope, routing, decoding, handlers. Pure, no I/O."""
