-- One row per workspace and person that any of its events names.
-- Answers: who reads our messages, who has stopped reading, who has unsubscribed?
-- A person is the first of cio_id, id, customer_id, email in an event that is not blank. Events with
-- different ids of one person make two rows. Events without any id are left out.
-- Counts are distinct deliveries; human opens as in campaign_performance. Events without a readable
-- time count, but do not change the time columns. Of several latest events with the same time, the one
-- with the greatest event_id counts.
CREATE OR REPLACE VIEW customer_engagement_summary (
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  person COMMENT 'Best id of the person: cio_id, else id, else customer_id, else email',
  person_kind COMMENT 'Which of them it is: cio_id, id, customer_id, email',
  customer_id COMMENT 'Latest customer_id sent',
  identifiers_id COMMENT 'Latest identifiers.id sent',
  email COMMENT 'Latest email address sent: identifiers.email, else the address on the profile, else the recipient of an email',
  events COMMENT 'Events of the person, all kinds',
  deliveries COMMENT 'Distinct deliveries to the person, all channels',
  channels COMMENT 'Channels of those deliveries, alphabetical, separated by commas',
  sent_deliveries COMMENT 'Deliveries handed to the provider',
  delivered_deliveries COMMENT 'Deliveries the receiving server took',
  opened_deliveries COMMENT 'Deliveries opened, by people or machines',
  human_opened_deliveries COMMENT 'Deliveries opened by a person',
  clicked_deliveries COMMENT 'Deliveries clicked, by people or machines',
  human_clicked_deliveries COMMENT 'Deliveries clicked by a person',
  converted_deliveries COMMENT 'Deliveries whose goal was met',
  replied_deliveries COMMENT 'Deliveries answered, SMS and WhatsApp',
  unsubscribed_deliveries COMMENT 'Deliveries unsubscribed from',
  spammed_deliveries COMMENT 'Deliveries reported as spam',
  bounced_deliveries COMMENT 'Deliveries refused by the receiving server',
  first_event_at COMMENT 'Earliest event, UTC',
  last_event_at COMMENT 'Latest event, UTC',
  last_human_engagement_at COMMENT 'Latest click that is no machine one, or open that is neither prefetched nor inferred from a click, UTC',
  last_subscription_metric COMMENT 'Latest of subscribed, unsubscribed and cio_subscription_preferences_changed among the customer events',
  last_subscription_at COMMENT 'When that happened, UTC',
  human_open_rate COMMENT 'Human opened / delivered, of channels that report both: email, push, whatsapp; NULL without a denominator',
  human_click_rate COMMENT 'Human clicked / reached; reached is delivered, or sent where in_app, slack and webhook report no delivery'
)
COMMENT 'Engagement of each person over all channels'
AS
WITH events AS (
  SELECT
    'email' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    recipient AS other_email,
    prefetched,
    synthetic,
    machine
  FROM webhook_email_events
  UNION ALL
  SELECT
    'customer' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    email_address AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_customer_events
  UNION ALL
  SELECT
    'sms' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_sms_events
  UNION ALL
  SELECT
    'push' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_push_events
  UNION ALL
  SELECT
    'in_app' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_in_app_events
  UNION ALL
  SELECT
    'slack' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_slack_events
  UNION ALL
  SELECT
    'webhook' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_webhook_events
  UNION ALL
  SELECT
    'whatsapp' AS channel,
    coalesce(workspace, 'default') AS workspace,
    event_id,
    delivery_id,
    metric,
    event_timestamp,
    received_at,
    nullif(identifiers_cio_id, '') AS cio_id,
    nullif(identifiers_id, '') AS identifiers_id,
    nullif(customer_id, '') AS customer_id,
    nullif(identifiers_email, '') AS identifiers_email,
    CAST(NULL AS STRING) AS other_email,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_whatsapp_events
),
named AS (
  SELECT
    coalesce(cio_id, identifiers_id, customer_id, identifiers_email) AS person,
    CASE
      WHEN cio_id IS NOT NULL THEN 'cio_id'
      WHEN identifiers_id IS NOT NULL THEN 'id'
      WHEN customer_id IS NOT NULL THEN 'customer_id'
      ELSE 'email'
    END AS person_kind,
    coalesce(identifiers_email, nullif(other_email, '')) AS email,
    CASE WHEN channel <> 'customer' THEN delivery_id END AS message_id,
    events.*
  FROM events
  WHERE coalesce(cio_id, identifiers_id, customer_id, identifiers_email) IS NOT NULL
),
people AS (
  SELECT
    workspace,
    person,
    person_kind,
    max_by(customer_id, struct(received_at, event_id))
      FILTER (WHERE customer_id IS NOT NULL) AS customer_id,
    max_by(identifiers_id, struct(received_at, event_id))
      FILTER (WHERE identifiers_id IS NOT NULL) AS identifiers_id,
    max_by(email, struct(received_at, event_id)) FILTER (WHERE email IS NOT NULL) AS email,
    COUNT(*) AS events,
    MIN(event_timestamp) AS first_event_at,
    MAX(event_timestamp) AS last_event_at,
    MAX(
      CASE
        WHEN metric = 'clicked' AND NOT coalesce(machine, FALSE) THEN event_timestamp
        WHEN metric = 'opened'
          AND NOT coalesce(prefetched, FALSE)
          AND NOT coalesce(synthetic, FALSE)
        THEN event_timestamp
      END
    ) AS last_human_engagement_at,
    max_by(metric, struct(event_timestamp, event_id))
      FILTER (WHERE channel = 'customer' AND event_timestamp IS NOT NULL)
      AS last_subscription_metric,
    MAX(CASE WHEN channel = 'customer' THEN event_timestamp END) AS last_subscription_at
  FROM named
  GROUP BY workspace, person, person_kind
),
deliveries AS (
  SELECT
    workspace,
    person,
    person_kind,
    channel,
    message_id,
    MAX(CASE WHEN metric = 'sent' THEN 1 ELSE 0 END) AS sent,
    MAX(CASE WHEN metric = 'delivered' THEN 1 ELSE 0 END) AS delivered,
    MAX(CASE WHEN metric = 'opened' THEN 1 ELSE 0 END) AS opened,
    MAX(
      CASE
        WHEN metric = 'opened'
          AND NOT coalesce(prefetched, FALSE)
          AND NOT coalesce(synthetic, FALSE)
        THEN 1
        ELSE 0
      END
    ) AS direct_opened,
    MAX(
      CASE
        WHEN metric = 'opened' AND NOT coalesce(prefetched, FALSE) AND synthetic THEN 1
        ELSE 0
      END
    ) AS synthetic_opened,
    MAX(CASE WHEN metric = 'clicked' THEN 1 ELSE 0 END) AS clicked,
    MAX(
      CASE WHEN metric = 'clicked' AND NOT coalesce(machine, FALSE) THEN 1 ELSE 0 END
    ) AS human_clicked,
    MAX(CASE WHEN metric = 'converted' THEN 1 ELSE 0 END) AS converted,
    MAX(CASE WHEN metric = 'replied' THEN 1 ELSE 0 END) AS replied,
    MAX(CASE WHEN metric = 'unsubscribed' THEN 1 ELSE 0 END) AS unsubscribed,
    MAX(CASE WHEN metric = 'spammed' THEN 1 ELSE 0 END) AS spammed,
    MAX(CASE WHEN metric = 'bounced' THEN 1 ELSE 0 END) AS bounced
  FROM named
  WHERE message_id IS NOT NULL
  GROUP BY workspace, person, person_kind, channel, message_id
),
judged AS (
  SELECT
    workspace,
    person,
    person_kind,
    channel,
    sent,
    delivered,
    CASE
      WHEN channel IN ('in_app', 'slack', 'webhook') THEN sent
      ELSE delivered
    END AS reached,
    CASE WHEN channel IN ('email', 'push', 'whatsapp') THEN 1 ELSE 0 END AS openable,
    opened,
    CASE
      WHEN direct_opened = 1 THEN 1
      WHEN synthetic_opened = 1 AND human_clicked = 1 THEN 1
      ELSE 0
    END AS human_opened,
    clicked,
    human_clicked,
    converted,
    replied,
    unsubscribed,
    spammed,
    bounced
  FROM deliveries
),
counted AS (
  SELECT
    workspace,
    person,
    person_kind,
    COUNT(*) AS deliveries,
    array_join(sort_array(collect_set(channel)), ',') AS channels,
    CAST(SUM(sent) AS BIGINT) AS sent_deliveries,
    CAST(SUM(delivered) AS BIGINT) AS delivered_deliveries,
    CAST(SUM(opened) AS BIGINT) AS opened_deliveries,
    CAST(SUM(human_opened) AS BIGINT) AS human_opened_deliveries,
    CAST(SUM(clicked) AS BIGINT) AS clicked_deliveries,
    CAST(SUM(human_clicked) AS BIGINT) AS human_clicked_deliveries,
    CAST(SUM(converted) AS BIGINT) AS converted_deliveries,
    CAST(SUM(replied) AS BIGINT) AS replied_deliveries,
    CAST(SUM(unsubscribed) AS BIGINT) AS unsubscribed_deliveries,
    CAST(SUM(spammed) AS BIGINT) AS spammed_deliveries,
    CAST(SUM(bounced) AS BIGINT) AS bounced_deliveries,
    SUM(reached) AS reached,
    SUM(delivered * openable) AS openable,
    SUM(human_opened * openable) AS openable_opened
  FROM judged
  GROUP BY workspace, person, person_kind
)
SELECT
  people.workspace,
  people.person,
  people.person_kind,
  people.customer_id,
  people.identifiers_id,
  people.email,
  people.events,
  coalesce(counted.deliveries, 0) AS deliveries,
  coalesce(counted.channels, '') AS channels,
  coalesce(counted.sent_deliveries, 0) AS sent_deliveries,
  coalesce(counted.delivered_deliveries, 0) AS delivered_deliveries,
  coalesce(counted.opened_deliveries, 0) AS opened_deliveries,
  coalesce(counted.human_opened_deliveries, 0) AS human_opened_deliveries,
  coalesce(counted.clicked_deliveries, 0) AS clicked_deliveries,
  coalesce(counted.human_clicked_deliveries, 0) AS human_clicked_deliveries,
  coalesce(counted.converted_deliveries, 0) AS converted_deliveries,
  coalesce(counted.replied_deliveries, 0) AS replied_deliveries,
  coalesce(counted.unsubscribed_deliveries, 0) AS unsubscribed_deliveries,
  coalesce(counted.spammed_deliveries, 0) AS spammed_deliveries,
  coalesce(counted.bounced_deliveries, 0) AS bounced_deliveries,
  people.first_event_at,
  people.last_event_at,
  people.last_human_engagement_at,
  people.last_subscription_metric,
  people.last_subscription_at,
  try_divide(counted.openable_opened, counted.openable) AS human_open_rate,
  try_divide(counted.human_clicked_deliveries, counted.reached) AS human_click_rate
FROM people
LEFT JOIN counted
  ON counted.workspace = people.workspace
  AND counted.person = people.person
  AND counted.person_kind = people.person_kind;
