-- One row per workspace, kind and id of what caused messages, over all channels and all time.
-- Answers: how well did each campaign, broadcast, newsletter and transactional message perform?
-- Counts are distinct deliveries. A delivery with several causes counts for the first of newsletter,
-- transactional message, broadcast, campaign. A human open is not prefetched. If it is inferred from a
-- click, its delivery has a click that is not by a machine.
-- Events without a delivery_id (replies to no message) are left out. Events without a readable time
-- count, except in first_event_at and last_event_at. If Customer.io sends only the first open and click
-- of a delivery (full_resolution off), an open by a machine can hide a later open by a person.
CREATE OR REPLACE VIEW campaign_performance (
  workspace COMMENT 'Workspace of Customer.io; default if CIO_WORKSPACES does not name the signing key',
  kind COMMENT 'What caused the messages: campaign, broadcast, newsletter, transactional; unknown if no id was sent',
  id COMMENT 'Id of that campaign, broadcast, newsletter or transactional message, text; NULL if kind is unknown',
  channels COMMENT 'Channels used, alphabetical, separated by commas',
  deliveries COMMENT 'Deliveries with any event',
  sent_deliveries COMMENT 'Deliveries handed to the provider',
  delivered_deliveries COMMENT 'Deliveries the receiving server took',
  reached_deliveries COMMENT 'Denominator of most rates: delivered; for in_app, slack and webhook, which report no delivery, sent',
  openable_deliveries COMMENT 'Denominator of open rates: reached deliveries of the channels that report opens: email, push, in_app, whatsapp',
  opened_deliveries COMMENT 'Deliveries opened, by people or machines',
  human_opened_deliveries COMMENT 'Deliveries opened by a person',
  machine_opened_deliveries COMMENT 'Deliveries opened by machines only',
  clicked_deliveries COMMENT 'Deliveries clicked, by people or machines',
  human_clicked_deliveries COMMENT 'Deliveries clicked by a person',
  machine_clicked_deliveries COMMENT 'Deliveries clicked by machines only',
  converted_deliveries COMMENT 'Deliveries whose goal was met',
  replied_deliveries COMMENT 'Deliveries answered, SMS and WhatsApp',
  unsubscribed_deliveries COMMENT 'Deliveries unsubscribed from',
  spammed_deliveries COMMENT 'Deliveries reported as spam',
  bounced_deliveries COMMENT 'Deliveries refused by the receiving server, late bounces included',
  dropped_deliveries COMMENT 'Deliveries not sent because the person or address is suppressed',
  failed_deliveries COMMENT 'Deliveries that could not be sent after tries',
  undeliverable_deliveries COMMENT 'Deliveries stopped by Customer.io',
  first_event_at COMMENT 'Earliest event, UTC',
  last_event_at COMMENT 'Latest event, UTC',
  delivered_rate COMMENT 'Delivered / sent, of channels that report both; NULL without a denominator',
  open_rate COMMENT 'opened_deliveries / openable_deliveries',
  human_open_rate COMMENT 'human_opened_deliveries / openable_deliveries',
  machine_open_share COMMENT 'machine_opened_deliveries / opened_deliveries',
  click_rate COMMENT 'clicked_deliveries / reached_deliveries',
  human_click_rate COMMENT 'human_clicked_deliveries / reached_deliveries',
  click_to_open_rate COMMENT 'human_clicked_deliveries / human_opened_deliveries, of channels that report opens',
  conversion_rate COMMENT 'converted_deliveries / reached_deliveries',
  unsubscribe_rate COMMENT 'unsubscribed_deliveries / reached_deliveries',
  complaint_rate COMMENT 'spammed_deliveries / reached_deliveries; an estimate',
  bounce_rate COMMENT 'bounced_deliveries / sent_deliveries',
  suppressed_rate COMMENT 'dropped_deliveries / (sent_deliveries + dropped_deliveries)',
  failure_rate COMMENT '(failed_deliveries + undeliverable_deliveries) / deliveries, each delivery once'
)
COMMENT 'Results of each campaign, broadcast, newsletter and transactional message'
AS
WITH events AS (
  SELECT
    'email' AS channel,
    coalesce(workspace, 'default') AS workspace,
    delivery_id,
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    metric,
    event_timestamp,
    newsletter_id,
    transactional_message_id,
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
    channel,
    delivery_id,
    MAX(newsletter_id) AS newsletter_id,
    MAX(transactional_message_id) AS transactional_message_id,
    MAX(broadcast_id) AS broadcast_id,
    MAX(campaign_id) AS campaign_id,
    MIN(event_timestamp) AS first_event_at,
    MAX(event_timestamp) AS last_event_at,
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
    MAX(CASE WHEN metric = 'bounced' THEN 1 ELSE 0 END) AS bounced,
    MAX(CASE WHEN metric = 'dropped' THEN 1 ELSE 0 END) AS dropped,
    MAX(CASE WHEN metric = 'failed' THEN 1 ELSE 0 END) AS failed,
    MAX(CASE WHEN metric = 'undeliverable' THEN 1 ELSE 0 END) AS undeliverable
  FROM events
  WHERE delivery_id IS NOT NULL
  GROUP BY workspace, channel, delivery_id
),
judged AS (
  SELECT
    workspace,
    channel,
    first_event_at,
    last_event_at,
    CASE
      WHEN newsletter_id IS NOT NULL THEN 'newsletter'
      WHEN transactional_message_id IS NOT NULL THEN 'transactional'
      WHEN broadcast_id IS NOT NULL THEN 'broadcast'
      WHEN campaign_id IS NOT NULL THEN 'campaign'
      ELSE 'unknown'
    END AS kind,
    coalesce(
      CAST(newsletter_id AS STRING),
      transactional_message_id,
      CAST(broadcast_id AS STRING),
      CAST(campaign_id AS STRING)
    ) AS id,
    sent,
    delivered,
    CASE
      WHEN channel IN ('in_app', 'slack', 'webhook') THEN sent
      ELSE delivered
    END AS reached,
    CASE WHEN channel IN ('email', 'push', 'in_app', 'whatsapp') THEN 1 ELSE 0 END AS openable,
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
    bounced,
    dropped,
    failed,
    undeliverable
  FROM deliveries
),
counted AS (
  SELECT
    workspace,
    kind,
    id,
    array_join(sort_array(collect_set(channel)), ',') AS channels,
    COUNT(*) AS deliveries,
    CAST(SUM(sent) AS BIGINT) AS sent_deliveries,
    CAST(SUM(delivered) AS BIGINT) AS delivered_deliveries,
    CAST(SUM(reached) AS BIGINT) AS reached_deliveries,
    CAST(SUM(reached * openable) AS BIGINT) AS openable_deliveries,
    CAST(SUM(opened) AS BIGINT) AS opened_deliveries,
    CAST(SUM(human_opened) AS BIGINT) AS human_opened_deliveries,
    CAST(SUM(opened - human_opened) AS BIGINT) AS machine_opened_deliveries,
    CAST(SUM(clicked) AS BIGINT) AS clicked_deliveries,
    CAST(SUM(human_clicked) AS BIGINT) AS human_clicked_deliveries,
    CAST(SUM(clicked - human_clicked) AS BIGINT) AS machine_clicked_deliveries,
    CAST(SUM(converted) AS BIGINT) AS converted_deliveries,
    CAST(SUM(replied) AS BIGINT) AS replied_deliveries,
    CAST(SUM(unsubscribed) AS BIGINT) AS unsubscribed_deliveries,
    CAST(SUM(spammed) AS BIGINT) AS spammed_deliveries,
    CAST(SUM(bounced) AS BIGINT) AS bounced_deliveries,
    CAST(SUM(dropped) AS BIGINT) AS dropped_deliveries,
    CAST(SUM(failed) AS BIGINT) AS failed_deliveries,
    CAST(SUM(undeliverable) AS BIGINT) AS undeliverable_deliveries,
    MIN(first_event_at) AS first_event_at,
    MAX(last_event_at) AS last_event_at,
    SUM(CASE WHEN channel IN ('in_app', 'slack', 'webhook') THEN 0 ELSE sent END) AS confirmable,
    SUM(human_clicked * openable) AS openable_clicked,
    SUM(CASE WHEN failed = 1 OR undeliverable = 1 THEN 1 ELSE 0 END) AS unsendable
  FROM judged
  GROUP BY workspace, kind, id
)
SELECT
  workspace,
  kind,
  id,
  channels,
  deliveries,
  sent_deliveries,
  delivered_deliveries,
  reached_deliveries,
  openable_deliveries,
  opened_deliveries,
  human_opened_deliveries,
  machine_opened_deliveries,
  clicked_deliveries,
  human_clicked_deliveries,
  machine_clicked_deliveries,
  converted_deliveries,
  replied_deliveries,
  unsubscribed_deliveries,
  spammed_deliveries,
  bounced_deliveries,
  dropped_deliveries,
  failed_deliveries,
  undeliverable_deliveries,
  first_event_at,
  last_event_at,
  try_divide(delivered_deliveries, confirmable) AS delivered_rate,
  try_divide(opened_deliveries, openable_deliveries) AS open_rate,
  try_divide(human_opened_deliveries, openable_deliveries) AS human_open_rate,
  try_divide(machine_opened_deliveries, opened_deliveries) AS machine_open_share,
  try_divide(clicked_deliveries, reached_deliveries) AS click_rate,
  try_divide(human_clicked_deliveries, reached_deliveries) AS human_click_rate,
  try_divide(openable_clicked, human_opened_deliveries) AS click_to_open_rate,
  try_divide(converted_deliveries, reached_deliveries) AS conversion_rate,
  try_divide(unsubscribed_deliveries, reached_deliveries) AS unsubscribe_rate,
  try_divide(spammed_deliveries, reached_deliveries) AS complaint_rate,
  try_divide(bounced_deliveries, sent_deliveries) AS bounce_rate,
  try_divide(dropped_deliveries, sent_deliveries + dropped_deliveries) AS suppressed_rate,
  try_divide(unsendable, deliveries) AS failure_rate
FROM counted;
