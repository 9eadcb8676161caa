-- One row per workspace, campaign or broadcast, and UTC day on which journeys through it began.
-- Answers: of the people who entered on that day, how many have read, clicked and converted?
-- A journey begins with the first event of any of its messages. A workflow may have waited before
-- that, which webhooks do not show. Later events count for the day on which the journey began, so
-- recent days can change. Only events with a journey_id count; journeys without any readable time are left out.
CREATE OR REPLACE VIEW journey_performance (
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  kind COMMENT 'campaign or broadcast',
  id COMMENT 'Id of that campaign or broadcast, text, as in campaign_performance',
  start_date COMMENT 'UTC day of the first message event of the journeys',
  journeys COMMENT 'Distinct journeys that began that day',
  deliveries COMMENT 'Distinct deliveries of those journeys, to date',
  reached_journeys COMMENT 'Journeys with a delivered message, or a sent one of in_app, slack, webhook',
  opened_journeys COMMENT 'Journeys with an opened message, by people or machines',
  human_opened_journeys COMMENT 'Journeys with a message opened by a person',
  clicked_journeys COMMENT 'Journeys with a clicked message, by people or machines',
  human_clicked_journeys COMMENT 'Journeys with a message clicked by a person',
  converted_journeys COMMENT 'Journeys with a message whose goal was met',
  unsubscribed_journeys COMMENT 'Journeys with a message unsubscribed from',
  deliveries_per_journey COMMENT 'deliveries / journeys',
  human_open_rate COMMENT 'human_opened_journeys / journeys',
  human_click_rate COMMENT 'human_clicked_journeys / journeys',
  conversion_rate COMMENT 'converted_journeys / journeys, the conversion rate of a campaign at Customer.io'
)
COMMENT 'Journeys by campaign and day of start: people reached, engaged, converted'
AS
WITH events AS (
  SELECT
    'email' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    prefetched,
    synthetic,
    machine
  FROM webhook_email_events
  UNION ALL
  SELECT
    'sms' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_sms_events
  UNION ALL
  SELECT
    'push' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_push_events
  UNION ALL
  SELECT
    'in_app' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_in_app_events
  UNION ALL
  SELECT
    'slack' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_slack_events
  UNION ALL
  SELECT
    'webhook' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_webhook_events
  UNION ALL
  SELECT
    'whatsapp' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    journey_id,
    metric,
    event_timestamp,
    broadcast_id,
    campaign_id,
    CAST(NULL AS BOOLEAN) AS prefetched,
    CAST(NULL AS BOOLEAN) AS synthetic,
    CAST(NULL AS BOOLEAN) AS machine
  FROM webhook_whatsapp_events
),
deliveries AS (
  SELECT
    workspace,
    journey_id,
    channel,
    delivery_id,
    MAX(broadcast_id) AS broadcast_id,
    MAX(campaign_id) AS campaign_id,
    MIN(event_timestamp) AS first_event_at,
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
    MAX(CASE WHEN metric = 'unsubscribed' THEN 1 ELSE 0 END) AS unsubscribed
  FROM events
  WHERE journey_id IS NOT NULL
  GROUP BY workspace, journey_id, channel, delivery_id
),
judged AS (
  SELECT
    workspace,
    journey_id,
    broadcast_id,
    campaign_id,
    first_event_at,
    CASE WHEN delivery_id IS NULL THEN 0 ELSE 1 END AS delivery,
    CASE
      WHEN channel IN ('in_app', 'slack', 'webhook') THEN sent
      ELSE delivered
    END AS reached,
    opened,
    CASE
      WHEN direct_opened = 1 THEN 1
      WHEN synthetic_opened = 1 AND human_clicked = 1 THEN 1
      ELSE 0
    END AS human_opened,
    clicked,
    human_clicked,
    converted,
    unsubscribed
  FROM deliveries
),
journeys AS (
  SELECT
    workspace,
    journey_id,
    CASE WHEN MAX(broadcast_id) IS NOT NULL THEN 'broadcast' ELSE 'campaign' END AS kind,
    CAST(coalesce(MAX(broadcast_id), MAX(campaign_id)) AS STRING) AS id,
    CAST(MIN(first_event_at) AS DATE) AS start_date,
    SUM(delivery) AS deliveries,
    MAX(reached) AS reached,
    MAX(opened) AS opened,
    MAX(human_opened) AS human_opened,
    MAX(clicked) AS clicked,
    MAX(human_clicked) AS human_clicked,
    MAX(converted) AS converted,
    MAX(unsubscribed) AS unsubscribed
  FROM judged
  GROUP BY workspace, journey_id
),
counted AS (
  SELECT
    workspace,
    kind,
    id,
    start_date,
    COUNT(*) AS journeys,
    CAST(SUM(deliveries) AS BIGINT) AS deliveries,
    CAST(SUM(reached) AS BIGINT) AS reached_journeys,
    CAST(SUM(opened) AS BIGINT) AS opened_journeys,
    CAST(SUM(human_opened) AS BIGINT) AS human_opened_journeys,
    CAST(SUM(clicked) AS BIGINT) AS clicked_journeys,
    CAST(SUM(human_clicked) AS BIGINT) AS human_clicked_journeys,
    CAST(SUM(converted) AS BIGINT) AS converted_journeys,
    CAST(SUM(unsubscribed) AS BIGINT) AS unsubscribed_journeys
  FROM journeys
  WHERE start_date IS NOT NULL AND id IS NOT NULL
  GROUP BY workspace, kind, id, start_date
)
SELECT
  workspace,
  kind,
  id,
  start_date,
  journeys,
  deliveries,
  reached_journeys,
  opened_journeys,
  human_opened_journeys,
  clicked_journeys,
  human_clicked_journeys,
  converted_journeys,
  unsubscribed_journeys,
  try_divide(deliveries, journeys) AS deliveries_per_journey,
  try_divide(human_opened_journeys, journeys) AS human_open_rate,
  try_divide(human_clicked_journeys, journeys) AS human_click_rate,
  try_divide(converted_journeys, journeys) AS conversion_rate
FROM counted;
