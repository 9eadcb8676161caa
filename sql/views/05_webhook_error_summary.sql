-- One row per workspace, day, source, object type, metric and class of failure.
-- Answers: what goes wrong, how often, and since when? Check new rows first.
-- Classes; the first that fits counts: complaint (spammed), no_message, unknown_user (5.1.1 and its
-- wordings), mailbox_full (4.2.2, 5.2.2), policy (x.7.x, blocked, spam), suppressed, rendering
-- (template errors), timeout, permanent (5.x.x, 5xx), transient (4.x.x, 4xx), other. The classes
-- are found in English texts of many providers: they help to sort, but can be wrong.
-- Attempted is a failed attempt that is normally repeated. Events without a readable time are shown
-- with 1970-01-01, so that no failure is hidden.
CREATE OR REPLACE VIEW webhook_error_summary (
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  event_date COMMENT 'UTC day of the events; 1970-01-01 holds those without a readable time',
  source COMMENT 'message: a message had trouble; unrouted: an event that no typed table holds',
  object_type COMMENT 'Channel of the message; of unrouted events the object type as sent',
  metric COMMENT 'bounced, dropped, failed, undeliverable, attempted or spammed; of unrouted events as sent',
  failure_class COMMENT 'What the failure text says, see the header; of unrouted events the reason, of spammed ones complaint',
  events COMMENT 'Events, repeats counted',
  deliveries COMMENT 'Distinct deliveries; 0 for unrouted events',
  people COMMENT 'Distinct people, by cio_id, id, customer_id or email; 0 for unrouted events',
  campaigns COMMENT 'Distinct campaigns, broadcasts, newsletters and transactional messages behind them; 0 for unrouted events',
  example_message COMMENT 'One failure text of the group; may name an address',
  first_event_at COMMENT 'Earliest event, UTC',
  last_event_at COMMENT 'Latest event, UTC'
)
COMMENT 'Failed, refused and unrouted events by day and class of failure'
AS
WITH messages AS (
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'email' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_email_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'sms' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_sms_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'push' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    coalesce(failure_message, array_join(transform(recipients, device -> device.failure_message), '; ')) AS failure_message
  FROM webhook_push_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'in_app' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_in_app_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'slack' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_slack_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'webhook' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_webhook_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
  UNION ALL
  SELECT
    coalesce(workspace, 'default') AS workspace,
    event_date,
    'whatsapp' AS object_type,
    metric,
    event_timestamp,
    delivery_id,
    coalesce(identifiers_cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    coalesce(
      'newsletter ' || CAST(newsletter_id AS STRING),
      'transactional ' || transactional_message_id,
      'broadcast ' || CAST(broadcast_id AS STRING),
      'campaign ' || CAST(campaign_id AS STRING)
    ) AS cause,
    failure_message AS failure_message
  FROM webhook_whatsapp_events
  WHERE metric IN ('bounced', 'dropped', 'failed', 'undeliverable', 'attempted', 'spammed')
),
classified AS (
  SELECT
    workspace,
    event_date,
    'message' AS source,
    object_type,
    metric,
    CASE
      WHEN metric = 'spammed' THEN 'complaint'
      WHEN coalesce(trim(failure_message), '') = '' THEN 'no_message'
      WHEN lower(failure_message) RLIKE
        '5[.]1[.]1|user unknown|unknown user|no such user|does not exist|user not found'
      THEN 'unknown_user'
      WHEN lower(failure_message) RLIKE '[45][.]2[.]2|mailbox full|over quota|quota exceeded'
      THEN 'mailbox_full'
      WHEN lower(failure_message) RLIKE '[45][.]7[.][0-9]|spam|blocked|blocklist|blacklist|policy'
      THEN 'policy'
      WHEN lower(failure_message) RLIKE 'suppress' THEN 'suppressed'
      WHEN lower(failure_message) RLIKE 'liquid|render|template' THEN 'rendering'
      WHEN lower(failure_message) RLIKE 'timeout|timed out|deadline' THEN 'timeout'
      WHEN failure_message RLIKE '(^|[^0-9.])5([.][0-9]+[.][0-9]+|[0-9][0-9])($|[^0-9])'
      THEN 'permanent'
      WHEN failure_message RLIKE '(^|[^0-9.])4([.][0-9]+[.][0-9]+|[0-9][0-9])($|[^0-9])'
      THEN 'transient'
      ELSE 'other'
    END AS failure_class,
    event_timestamp,
    delivery_id,
    person,
    cause,
    failure_message
  FROM messages
  UNION ALL
  SELECT
    workspace,
    event_date,
    'unrouted' AS source,
    object_type,
    metric,
    unrouted_reason AS failure_class,
    event_timestamp,
    CAST(NULL AS STRING) AS delivery_id,
    CAST(NULL AS STRING) AS person,
    CAST(NULL AS STRING) AS cause,
    CAST(NULL AS STRING) AS failure_message
  FROM webhook_unrouted_events
)
SELECT
  workspace,
  event_date,
  source,
  object_type,
  metric,
  failure_class,
  COUNT(*) AS events,
  COUNT(DISTINCT delivery_id) AS deliveries,
  COUNT(DISTINCT person) AS people,
  COUNT(DISTINCT cause) AS campaigns,
  MIN(failure_message) AS example_message,
  MIN(event_timestamp) AS first_event_at,
  MAX(event_timestamp) AS last_event_at
FROM classified
GROUP BY workspace, event_date, source, object_type, metric, failure_class;
