-- One row per workspace, day, source, object type, metric and class of failure.
-- Answers: what goes wrong, how often, and since when? Check new rows first.
-- Classes; the first that fits counts: complaint (spammed), no_message, unknown_user (5.1.1 of email
-- and its wordings, unregistered devices), mailbox_full (4.2.2, 5.2.2 of email), policy (x.7.x of
-- email, blocked, spam), suppressed, rendering (template errors), timeout, transient, permanent,
-- other.
-- Transient and permanent depend on the channel. Email has SMTP codes: 4xx and 4.x.x are transient,
-- 5xx and 5.x.x permanent. webhook, slack and push have HTTP statuses, sms and whatsapp only where
-- the text says so: 5xx (except 501, 505), 408, 425 and 429 are transient, other 4xx permanent.
-- in_app has neither. The classes are found in English texts of many providers: they help to sort,
-- but can be wrong.
-- Attempted is a failed attempt that is normally repeated, so it is never permanent. Events without
-- a readable time are shown with 1970-01-01, so that no failure is hidden.
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
coded AS (
  SELECT
    *,
    -- Mail servers: the enhanced code counts before the reply code.
    CASE
      WHEN object_type = 'email'
      THEN coalesce(
        nullif(regexp_extract(
          failure_message, '(^|[^0-9.])([45])[.][0-9]+[.][0-9]+($|[^0-9])', 2
        ), ''),
        nullif(regexp_extract(failure_message, '(^|[^0-9.])([45])[0-9][0-9]($|[^0-9])', 2), '')
      )
    END AS smtp_class,
    -- A number after a colon is a port. Providers of sms and whatsapp have codes of their own, so
    -- there a number is a status only if the text says so.
    CASE
      WHEN object_type IN ('webhook', 'slack', 'push')
      THEN nullif(regexp_extract(
        lower(failure_message),
        '(^|[^0-9.:]|(http|status|code|error)["]?:)([45][0-9][0-9])($|[^0-9])',
        3
      ), '')
      WHEN object_type IN ('sms', 'whatsapp')
      THEN nullif(regexp_extract(
        lower(failure_message),
        '(http|http/[0-9.]+|status|status code)["]?[ :=]+([45][0-9][0-9])($|[^0-9])',
        2
      ), '')
    END AS http_status
  FROM messages
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
      WHEN object_type = 'email' AND lower(failure_message) RLIKE '5[.]1[.]1|does not exist'
      THEN 'unknown_user'
      WHEN object_type <> 'webhook' AND lower(failure_message) RLIKE
        'user unknown|unknown user|no such user|user not found|unregistered|baddevicetoken'
      THEN 'unknown_user'
      WHEN object_type = 'email' AND lower(failure_message) RLIKE
        '[45][.]2[.]2|mailbox full|over quota|quota exceeded'
      THEN 'mailbox_full'
      WHEN object_type = 'email' AND lower(failure_message) RLIKE '[45][.]7[.][0-9]' THEN 'policy'
      WHEN lower(failure_message) RLIKE 'spam|blocked|blocklist|blacklist|policy' THEN 'policy'
      WHEN lower(failure_message) RLIKE 'suppress' THEN 'suppressed'
      WHEN lower(failure_message) RLIKE 'liquid|render|template' THEN 'rendering'
      WHEN lower(failure_message) RLIKE 'timeout|timed out|deadline' THEN 'timeout'
      WHEN smtp_class = '4' THEN 'transient'
      WHEN http_status IN ('408', '425', '429') THEN 'transient'
      WHEN http_status LIKE '5%' AND http_status NOT IN ('501', '505') THEN 'transient'
      WHEN smtp_class = '5' OR http_status IS NOT NULL
      THEN CASE WHEN metric = 'attempted' THEN 'transient' ELSE 'permanent' END
      ELSE 'other'
    END AS failure_class,
    event_timestamp,
    delivery_id,
    person,
    cause,
    failure_message
  FROM coded
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
