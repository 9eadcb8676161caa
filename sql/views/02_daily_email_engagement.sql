-- One row per workspace and UTC day with email events.
-- Answers: what happened to our email on that day, and how much of it was done by people?
-- Counts are distinct deliveries: repeated opens or clicks count once a day. They count on the day of
-- the event, so an email of yesterday that is opened today counts today, and a rate of a day with few
-- emails can exceed 1. For rates over the life of a message see campaign_performance.
-- An open by a machine is a prefetched open, or an open that is inferred from a click of a delivery
-- without a human click. Events without a readable time (event_date 1970-01-01) or without a
-- delivery_id are left out. Days up to a week old can change: Customer.io retries for seven days.
CREATE OR REPLACE VIEW daily_email_engagement (
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  event_date COMMENT 'UTC day on which the events happened',
  sent_deliveries COMMENT 'Deliveries handed to the provider that day',
  delivered_deliveries COMMENT 'Deliveries the receiving server took that day',
  opened_deliveries COMMENT 'Deliveries opened that day, by people or machines',
  human_opened_deliveries COMMENT 'Deliveries opened that day by a person: not prefetched, and if inferred from a click, with a click that is not a machine one',
  machine_opened_deliveries COMMENT 'Deliveries opened that day by machines only',
  clicked_deliveries COMMENT 'Deliveries clicked that day, by people or machines',
  human_clicked_deliveries COMMENT 'Deliveries clicked that day by a person: machine is not true',
  machine_clicked_deliveries COMMENT 'Deliveries clicked that day by machines only',
  converted_deliveries COMMENT 'Deliveries whose goal was met that day',
  unsubscribed_deliveries COMMENT 'Deliveries unsubscribed from that day',
  spammed_deliveries COMMENT 'Deliveries reported as spam that day',
  bounced_deliveries COMMENT 'Deliveries refused by the receiving server that day',
  dropped_deliveries COMMENT 'Deliveries not sent that day because the person or address is suppressed',
  failed_deliveries COMMENT 'Deliveries that could not be sent that day, after tries',
  undeliverable_deliveries COMMENT 'Deliveries stopped by Customer.io that day, e.g. by a message limit',
  open_events COMMENT 'Open events that day, repeats counted',
  click_events COMMENT 'Click events that day, repeats counted',
  delivered_rate COMMENT 'delivered_deliveries / sent_deliveries; NULL without a denominator',
  open_rate COMMENT 'opened_deliveries / delivered_deliveries',
  human_open_rate COMMENT 'human_opened_deliveries / delivered_deliveries',
  machine_open_share COMMENT 'machine_opened_deliveries / opened_deliveries',
  click_rate COMMENT 'clicked_deliveries / delivered_deliveries',
  human_click_rate COMMENT 'human_clicked_deliveries / delivered_deliveries',
  click_to_open_rate COMMENT 'human_clicked_deliveries / human_opened_deliveries',
  conversion_rate COMMENT 'converted_deliveries / delivered_deliveries',
  unsubscribe_rate COMMENT 'unsubscribed_deliveries / delivered_deliveries',
  complaint_rate COMMENT 'spammed_deliveries / delivered_deliveries; an estimate, some mailbox providers report none',
  bounce_rate COMMENT 'bounced_deliveries / sent_deliveries',
  suppressed_rate COMMENT 'dropped_deliveries / (sent_deliveries + dropped_deliveries)'
)
COMMENT 'Email by workspace and day of the event: deliveries, human and machine engagement, rates'
AS
WITH human_clicks AS (
  SELECT DISTINCT
    coalesce(workspace, 'default') AS workspace,
    delivery_id
  FROM webhook_email_events
  WHERE metric = 'clicked' AND NOT coalesce(machine, FALSE)
),
deliveries AS (
  SELECT
    coalesce(events.workspace, 'default') AS workspace,
    events.event_date,
    events.delivery_id,
    MAX(CASE WHEN events.metric = 'sent' THEN 1 ELSE 0 END) AS sent,
    MAX(CASE WHEN events.metric = 'delivered' THEN 1 ELSE 0 END) AS delivered,
    MAX(CASE WHEN events.metric = 'opened' THEN 1 ELSE 0 END) AS opened,
    MAX(
      CASE
        WHEN events.metric = 'opened'
          AND NOT coalesce(events.prefetched, FALSE)
          AND (NOT coalesce(events.synthetic, FALSE) OR human_clicks.delivery_id IS NOT NULL)
        THEN 1
        ELSE 0
      END
    ) AS human_opened,
    MAX(CASE WHEN events.metric = 'clicked' THEN 1 ELSE 0 END) AS clicked,
    MAX(
      CASE WHEN events.metric = 'clicked' AND NOT coalesce(events.machine, FALSE) THEN 1 ELSE 0 END
    ) AS human_clicked,
    MAX(CASE WHEN events.metric = 'converted' THEN 1 ELSE 0 END) AS converted,
    MAX(CASE WHEN events.metric = 'unsubscribed' THEN 1 ELSE 0 END) AS unsubscribed,
    MAX(CASE WHEN events.metric = 'spammed' THEN 1 ELSE 0 END) AS spammed,
    MAX(CASE WHEN events.metric = 'bounced' THEN 1 ELSE 0 END) AS bounced,
    MAX(CASE WHEN events.metric = 'dropped' THEN 1 ELSE 0 END) AS dropped,
    MAX(CASE WHEN events.metric = 'failed' THEN 1 ELSE 0 END) AS failed,
    MAX(CASE WHEN events.metric = 'undeliverable' THEN 1 ELSE 0 END) AS undeliverable,
    SUM(CASE WHEN events.metric = 'opened' THEN 1 ELSE 0 END) AS opens,
    SUM(CASE WHEN events.metric = 'clicked' THEN 1 ELSE 0 END) AS clicks
  FROM webhook_email_events AS events
  LEFT JOIN human_clicks
    ON human_clicks.workspace = coalesce(events.workspace, 'default')
    AND human_clicks.delivery_id = events.delivery_id
  WHERE events.event_date > DATE '1970-01-01' AND events.delivery_id IS NOT NULL
  GROUP BY coalesce(events.workspace, 'default'), events.event_date, events.delivery_id
),
days AS (
  SELECT
    workspace,
    event_date,
    CAST(SUM(sent) AS BIGINT) AS sent_deliveries,
    CAST(SUM(delivered) AS BIGINT) AS delivered_deliveries,
    CAST(SUM(opened) AS BIGINT) AS opened_deliveries,
    CAST(SUM(human_opened) AS BIGINT) AS human_opened_deliveries,
    CAST(SUM(opened - human_opened) AS BIGINT) AS machine_opened_deliveries,
    CAST(SUM(clicked) AS BIGINT) AS clicked_deliveries,
    CAST(SUM(human_clicked) AS BIGINT) AS human_clicked_deliveries,
    CAST(SUM(clicked - human_clicked) AS BIGINT) AS machine_clicked_deliveries,
    CAST(SUM(converted) AS BIGINT) AS converted_deliveries,
    CAST(SUM(unsubscribed) AS BIGINT) AS unsubscribed_deliveries,
    CAST(SUM(spammed) AS BIGINT) AS spammed_deliveries,
    CAST(SUM(bounced) AS BIGINT) AS bounced_deliveries,
    CAST(SUM(dropped) AS BIGINT) AS dropped_deliveries,
    CAST(SUM(failed) AS BIGINT) AS failed_deliveries,
    CAST(SUM(undeliverable) AS BIGINT) AS undeliverable_deliveries,
    CAST(SUM(opens) AS BIGINT) AS open_events,
    CAST(SUM(clicks) AS BIGINT) AS click_events
  FROM deliveries
  GROUP BY workspace, event_date
)
SELECT
  workspace,
  event_date,
  sent_deliveries,
  delivered_deliveries,
  opened_deliveries,
  human_opened_deliveries,
  machine_opened_deliveries,
  clicked_deliveries,
  human_clicked_deliveries,
  machine_clicked_deliveries,
  converted_deliveries,
  unsubscribed_deliveries,
  spammed_deliveries,
  bounced_deliveries,
  dropped_deliveries,
  failed_deliveries,
  undeliverable_deliveries,
  open_events,
  click_events,
  try_divide(delivered_deliveries, sent_deliveries) AS delivered_rate,
  try_divide(opened_deliveries, delivered_deliveries) AS open_rate,
  try_divide(human_opened_deliveries, delivered_deliveries) AS human_open_rate,
  try_divide(machine_opened_deliveries, opened_deliveries) AS machine_open_share,
  try_divide(clicked_deliveries, delivered_deliveries) AS click_rate,
  try_divide(human_clicked_deliveries, delivered_deliveries) AS human_click_rate,
  try_divide(human_clicked_deliveries, human_opened_deliveries) AS click_to_open_rate,
  try_divide(converted_deliveries, delivered_deliveries) AS conversion_rate,
  try_divide(unsubscribed_deliveries, delivered_deliveries) AS unsubscribe_rate,
  try_divide(spammed_deliveries, delivered_deliveries) AS complaint_rate,
  try_divide(bounced_deliveries, sent_deliveries) AS bounce_rate,
  try_divide(dropped_deliveries, sent_deliveries + dropped_deliveries) AS suppressed_rate
FROM days;
