CREATE TABLE IF NOT EXISTS webhook_whatsapp_events (
  event_id STRING NOT NULL COMMENT 'Key of the event together with event_date; payload event_id, or the digest of an unreadable body',
  object_type STRING COMMENT 'Channel or entity as sent, e.g. email; payload object_type',
  metric STRING COMMENT 'What happened, e.g. sent or opened; payload metric',
  event_timestamp TIMESTAMP COMMENT 'When it happened, UTC, whole seconds; payload timestamp, NULL if that cannot be read',
  event_date DATE NOT NULL COMMENT 'UTC day of event_timestamp; 1970-01-01 if that cannot be read',
  received_at TIMESTAMP NOT NULL COMMENT 'When the request was received, UTC, microseconds; clock of the receiver',
  loaded_at TIMESTAMP NOT NULL COMMENT 'When the row was loaded, UTC, microseconds; read increments by this column',
  batch_id STRING COMMENT 'Load that brought the row; made by the loader',
  workspace STRING COMMENT 'Workspace of Customer.io, from the signing key that matched and CIO_WORKSPACES; default if that does not name it',
  customer_id STRING COMMENT 'Person id as sent, deprecated by the vendor, NULL for deleted people; data.customer_id',
  identifiers_id STRING COMMENT 'Person id in the workspace; data.identifiers.id',
  identifiers_email STRING COMMENT 'Email address of the person; data.identifiers.email',
  identifiers_cio_id STRING COMMENT 'Permanent person id of Customer.io; data.identifiers.cio_id',
  delivery_id STRING COMMENT 'One message to one person, the same in all its events; data.delivery_id',
  campaign_id BIGINT COMMENT 'Campaign that caused the message; data.campaign_id',
  broadcast_id BIGINT COMMENT 'API-triggered broadcast that caused the message; data.broadcast_id',
  newsletter_id BIGINT COMMENT 'Newsletter that caused the message; data.newsletter_id',
  transactional_message_id STRING COMMENT 'Transactional template, a number or a trigger name; data.transactional_message_id',
  action_id BIGINT COMMENT 'Workflow step that made the message; data.action_id',
  parent_action_id BIGINT COMMENT 'Enclosing workflow step, e.g. of an A/B test; data.parent_action_id',
  content_id BIGINT COMMENT 'Newsletter variant, A/B or language; data.content_id',
  journey_id STRING COMMENT 'One path of a person through a workflow; data.journey_id',
  trigger_id BIGINT COMMENT 'Run number of an API-triggered broadcast; data.trigger_id',
  trigger_event_id STRING COMMENT 'Event that started the campaign; data.trigger_event_id',
  recipient STRING COMMENT 'Phone number; of replied the person who answered; data.recipient',
  failure_message STRING COMMENT 'Why it failed, text of the provider; data.failure_message',
  content STRING COMMENT 'Rendered text, only of sent with content switched on; data.content',
  href STRING COMMENT 'Target of the clicked link; data.href',
  link_id BIGINT COMMENT 'Tracked link that was clicked; data.link_id',
  inbound_event_id STRING COMMENT 'Reply of the person, only of replied; data.inbound_event_id',
  `to` STRING COMMENT 'Sender number the person replied to; data.to',
  reading_notes STRING COMMENT 'Which values could not be read as the type of their column; NULL if none'
)
COMMENT 'WhatsApp events of Customer.io, one row each'
CLUSTER BY (event_date, campaign_id)
TBLPROPERTIES (
  'delta.enableDeletionVectors' = 'true',
  'delta.isolationLevel' = 'Serializable'
);
