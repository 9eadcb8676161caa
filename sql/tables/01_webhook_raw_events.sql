CREATE TABLE IF NOT EXISTS webhook_raw_events (
  event_id STRING NOT NULL COMMENT 'Key of the event together with event_date; payload event_id, or the digest of a body that has none or whose key another event has',
  object_type STRING COMMENT 'Channel or entity as sent, e.g. email; payload object_type',
  metric STRING COMMENT 'What happened, e.g. sent or opened; payload metric',
  event_timestamp TIMESTAMP COMMENT 'When it happened, UTC, whole seconds; payload timestamp, NULL if that cannot be read',
  event_date DATE NOT NULL COMMENT 'UTC day of event_timestamp; 1970-01-01 if that cannot be read',
  received_at TIMESTAMP NOT NULL COMMENT 'When the request was received, UTC, microseconds; clock of the receiver',
  loaded_at TIMESTAMP NOT NULL COMMENT 'When the row was loaded, UTC, microseconds; read increments by this column',
  batch_id STRING COMMENT 'Load that brought the row; made by the loader',
  workspace STRING COMMENT 'Workspace of Customer.io, from the signing key that matched and CIO_WORKSPACES; default if that does not name it',
  target_table STRING COMMENT 'Typed table that holds the event; NULL if it was unrouted',
  unrouted_reason STRING COMMENT 'Why no typed table holds the event; NULL if one does',
  key_fingerprint STRING COMMENT 'Signing key that matched: first 8 hex digits of its SHA-256',
  body STRING COMMENT 'Body of the request, byte for byte; of an oversized one its first 64 KiB',
  body_encoding STRING COMMENT 'utf-8, or base64 where the bytes are not text',
  body_bytes BIGINT COMMENT 'Length of the whole body, bytes',
  body_sha256 STRING COMMENT 'SHA-256 of the whole body, hex; NULL in rows that were loaded before this column was there'
)
COMMENT 'Every verified event as it was received, one row each; append-only, the source of every replay'
CLUSTER BY (event_date, event_id)
TBLPROPERTIES (
  'delta.enableDeletionVectors' = 'true',
  'delta.isolationLevel' = 'Serializable'
);
