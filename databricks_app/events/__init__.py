"""Bytes become rows: envelope, routing, decoding, one handler an object type. Pure."""
