-- One row per verified event that is in no typed table.
-- Answers: which events does this version not understand, and what would a replay add?
-- A raw row without a target table never changes. When a replay has added the event to a typed table,
-- the event is no longer in this view. Rows are joined by event_id and event_date, not by workspace,
-- because CIO_WORKSPACES may have changed between the load and the replay.
CREATE OR REPLACE VIEW webhook_unrouted_events (
  event_id COMMENT 'Key of the event together with event_date',
  object_type COMMENT 'Channel or entity as sent; NULL if the body cannot be read',
  metric COMMENT 'What happened, as sent; NULL if the body cannot be read',
  event_timestamp COMMENT 'When it happened, UTC; NULL if that cannot be read',
  event_date COMMENT 'UTC day of event_timestamp; 1970-01-01 if that cannot be read',
  received_at COMMENT 'When the request was received, UTC',
  loaded_at COMMENT 'When the row was loaded, UTC',
  batch_id COMMENT 'Load that brought the row',
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  target_table COMMENT 'Always NULL here',
  unrouted_reason COMMENT 'Why no typed table holds the event',
  key_fingerprint COMMENT 'Signing key that matched',
  body COMMENT 'Body as received; base64 if body_encoding says so',
  body_encoding COMMENT 'utf-8 or base64',
  body_bytes COMMENT 'Length of the whole body, bytes',
  body_sha256 COMMENT 'SHA-256 of the whole body, hex; NULL in rows that were loaded before this column was there'
)
COMMENT 'Verified events that no typed table holds, one row each'
AS
WITH candidates AS (
  -- Few rows. Each typed table is joined with these keys, so that engines skip files without them.
  SELECT event_id, event_date
  FROM webhook_raw_events
  WHERE target_table IS NULL
),
routed AS (
  SELECT typed.event_id, typed.event_date
  FROM webhook_email_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_customer_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_sms_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_push_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_in_app_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_slack_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_webhook_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
  UNION ALL
  SELECT typed.event_id, typed.event_date
  FROM webhook_whatsapp_events AS typed
  INNER JOIN candidates
    ON candidates.event_id = typed.event_id AND candidates.event_date = typed.event_date
)
SELECT
  raw.event_id,
  raw.object_type,
  raw.metric,
  raw.event_timestamp,
  raw.event_date,
  raw.received_at,
  raw.loaded_at,
  raw.batch_id,
  coalesce(raw.workspace, 'default') AS workspace,
  raw.target_table,
  raw.unrouted_reason,
  raw.key_fingerprint,
  raw.body,
  raw.body_encoding,
  raw.body_bytes,
  raw.body_sha256
FROM webhook_raw_events AS raw
WHERE
  raw.target_table IS NULL
  AND NOT EXISTS (
    SELECT 1
    FROM routed
    WHERE routed.event_id = raw.event_id AND routed.event_date = raw.event_date
  );
