-- Every SQL statement that this project sends to a SQL warehouse, once each, for review.
-- A test records them at a double of a warehouse and compares. What differs from load to load
-- stands here with example values: the path of a staged file, the dates of its rows.
-- Sessions have catalog and schema set, TIMEZONE = UTC and a STATEMENT_TIMEOUT.
-- Long lists are wrapped. CREATE TABLE and CREATE VIEW are sent as they stand in sql/.
-- Values of parameters (:name) are never part of a text.

-- The loader with its first load, and after a load that failed: what is there?
-- Needs: USE CATALOG, USE SCHEMA; shows what the session may see

SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = :schema_name;

-- The loader, at the same times: `loaded_at` of new rows goes on from the newest
-- Needs: SELECT on the tables

SELECT max(newest_at) AS newest_at FROM (
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_raw_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_email_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_customer_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_sms_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_push_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_in_app_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_slack_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_webhook_events`
  UNION ALL
  SELECT max(`loaded_at`) AS newest_at FROM `webhook_whatsapp_events`
) AS newest;

-- The loader with its first load, where CIO_WORKSPACES names keys: their workspaces
-- Needs: SELECT on webhook_raw_events

SELECT DISTINCT key_fingerprint, coalesce(workspace, 'default') AS workspace
FROM webhook_raw_events
WHERE key_fingerprint IN ('0a1b2c3d') AND target_table IS NOT NULL;

-- The loader and `ciolake deploy`, for a table that lacks a column of sql/
-- Needs: MANAGE on, or ownership of, the table

ALTER TABLE `webhook_push_events` ADD COLUMNS (`href` STRING COMMENT 'Target of the clicked link; data.href', `link_id` BIGINT COMMENT 'Tracked link that was clicked; data.link_id');

-- The loader, one a table that has rows in the load: insert what is missing from its staged files, of which there can be several
-- Needs: SELECT and MODIFY on the table, READ VOLUME

MERGE INTO `webhook_customer_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `email_address`,
      `object_type_type`, `delivery_type`, `content`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_customer_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, email_address STRING, object_type_type STRING, delivery_type STRING, content STRING, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `email_address`, `object_type_type`,
    `delivery_type`, `content`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`email_address`, staged.`object_type_type`,
    staged.`delivery_type`, staged.`content`, staged.`reading_notes`);

MERGE INTO `webhook_email_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`,
      `failure_message`, `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`,
      `link_id`, `machine`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_email_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, subject STRING, recipient STRING, failure_message STRING, content STRING, headers MAP<STRING, ARRAY<STRING>>, proxied BOOLEAN, prefetched BOOLEAN, synthetic BOOLEAN, href STRING, link_id BIGINT, machine BOOLEAN, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`, `failure_message`,
    `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`, `link_id`, `machine`,
    `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`subject`, staged.`recipient`, staged.`failure_message`,
    staged.`content`, staged.`headers`, staged.`proxied`, staged.`prefetched`, staged.`synthetic`,
    staged.`href`, staged.`link_id`, staged.`machine`, staged.`reading_notes`);

MERGE INTO `webhook_email_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`,
      `failure_message`, `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`,
      `link_id`, `machine`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_email_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, subject STRING, recipient STRING, failure_message STRING, content STRING, headers MAP<STRING, ARRAY<STRING>>, proxied BOOLEAN, prefetched BOOLEAN, synthetic BOOLEAN, href STRING, link_id BIGINT, machine BOOLEAN, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`, `failure_message`,
    `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`, `link_id`, `machine`,
    `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`subject`, staged.`recipient`, staged.`failure_message`,
    staged.`content`, staged.`headers`, staged.`proxied`, staged.`prefetched`, staged.`synthetic`,
    staged.`href`, staged.`link_id`, staged.`machine`, staged.`reading_notes`);

MERGE INTO `webhook_in_app_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`,
      `content`, `tracked_response`, `href`, `link_id`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_in_app_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipient STRING, failure_message STRING, content STRING, tracked_response STRING, href STRING, link_id BIGINT, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`, `content`,
    `tracked_response`, `href`, `link_id`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipient`, staged.`failure_message`, staged.`content`,
    staged.`tracked_response`, staged.`href`, staged.`link_id`, staged.`reading_notes`);

MERGE INTO `webhook_push_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipients`, `failure_message`,
      `content`, `href`, `link_id`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_push_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipients ARRAY<STRUCT<device_id: STRING, device_platform: STRING, failure_message: STRING>>, failure_message STRING, content STRING, href STRING, link_id BIGINT, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipients`, `failure_message`, `content`,
    `href`, `link_id`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipients`, staged.`failure_message`, staged.`content`,
    staged.`href`, staged.`link_id`, staged.`reading_notes`);

MERGE INTO `webhook_raw_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `target_table`,
      `unrouted_reason`, `key_fingerprint`, `body`, `body_encoding`, `body_bytes`, `body_sha256`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, target_table STRING, unrouted_reason STRING, key_fingerprint STRING, body STRING, body_encoding STRING, body_bytes BIGINT, body_sha256 STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `target_table`, `unrouted_reason`,
    `key_fingerprint`, `body`, `body_encoding`, `body_bytes`, `body_sha256`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`target_table`, staged.`unrouted_reason`, staged.`key_fingerprint`,
    staged.`body`, staged.`body_encoding`, staged.`body_bytes`, staged.`body_sha256`);

MERGE INTO `webhook_raw_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `target_table`,
      `unrouted_reason`, `key_fingerprint`, `body`, `body_encoding`, `body_bytes`, `body_sha256`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, target_table STRING, unrouted_reason STRING, key_fingerprint STRING, body STRING, body_encoding STRING, body_bytes BIGINT, body_sha256 STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `target_table`, `unrouted_reason`,
    `key_fingerprint`, `body`, `body_encoding`, `body_bytes`, `body_sha256`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`target_table`, staged.`unrouted_reason`, staged.`key_fingerprint`,
    staged.`body`, staged.`body_encoding`, staged.`body_bytes`, staged.`body_sha256`);

MERGE INTO `webhook_slack_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`,
      `content`, `href`, `link_id`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_slack_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipient STRING, failure_message STRING, content STRING, href STRING, link_id BIGINT, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`, `content`,
    `href`, `link_id`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipient`, staged.`failure_message`, staged.`content`,
    staged.`href`, staged.`link_id`, staged.`reading_notes`);

MERGE INTO `webhook_sms_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`,
      `content`, `href`, `link_id`, `inbound_event_id`, `to`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_sms_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipient STRING, failure_message STRING, content STRING, href STRING, link_id BIGINT, inbound_event_id STRING, to STRING, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`, `content`,
    `href`, `link_id`, `inbound_event_id`, `to`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipient`, staged.`failure_message`, staged.`content`,
    staged.`href`, staged.`link_id`, staged.`inbound_event_id`, staged.`to`, staged.`reading_notes`);

MERGE INTO `webhook_webhook_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`,
      `content`, `href`, `link_id`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_webhook_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipient STRING, failure_message STRING, content STRING, href STRING, link_id BIGINT, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`, `content`,
    `href`, `link_id`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipient`, staged.`failure_message`, staged.`content`,
    staged.`href`, staged.`link_id`, staged.`reading_notes`);

MERGE INTO `webhook_whatsapp_events` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`,
      `content`, `href`, `link_id`, `inbound_event_id`, `to`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_whatsapp_events.1.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, recipient STRING, failure_message STRING, content STRING, href STRING, link_id BIGINT, inbound_event_id STRING, to STRING, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `recipient`, `failure_message`, `content`,
    `href`, `link_id`, `inbound_event_id`, `to`, `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`recipient`, staged.`failure_message`, staged.`content`,
    staged.`href`, staged.`link_id`, staged.`inbound_event_id`, staged.`to`, staged.`reading_notes`);

-- `ciolake workspaces rename`, one a table and month: the typed tables, then the raw one
-- Needs: SELECT and MODIFY on the tables

MERGE INTO `webhook_customer_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_email_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_in_app_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_push_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_slack_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_sms_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_webhook_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

MERGE INTO `webhook_whatsapp_events` AS typed
USING (
  SELECT DISTINCT `event_id`, `event_date`
  FROM `webhook_raw_events` AS target
  WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
) AS renamed
ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date` AND typed.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND coalesce(typed.`workspace`, 'default') = 'default'
WHEN MATCHED THEN UPDATE SET `workspace` = 'shop';

UPDATE `webhook_raw_events` AS target
SET `workspace` = 'shop'
WHERE target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22') AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default';

-- `ciolake workspaces rename`: which days and how many rows would be changed
-- Needs: SELECT on the tables

SELECT 'webhook_raw_events' AS name, count(*) AS events FROM `webhook_raw_events` AS target
WHERE target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
UNION ALL
SELECT 'webhook_email_events' AS name, count(*) AS events FROM `webhook_email_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_customer_events' AS name, count(*) AS events FROM `webhook_customer_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_sms_events' AS name, count(*) AS events FROM `webhook_sms_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_push_events' AS name, count(*) AS events FROM `webhook_push_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_in_app_events' AS name, count(*) AS events FROM `webhook_in_app_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_slack_events' AS name, count(*) AS events FROM `webhook_slack_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_webhook_events' AS name, count(*) AS events FROM `webhook_webhook_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default')
UNION ALL
SELECT 'webhook_whatsapp_events' AS name, count(*) AS events FROM `webhook_whatsapp_events` AS typed
WHERE coalesce(typed.`workspace`, 'default') = 'default' AND EXISTS (SELECT 1 FROM `webhook_raw_events` AS target
  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date` AND target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default');

SELECT DISTINCT `event_date` FROM `webhook_raw_events` AS target
WHERE target.`key_fingerprint` IN ('0a1b2c3d') AND coalesce(target.`workspace`, 'default') = 'default'
ORDER BY `event_date`;

-- `ciolake workspaces`, and `rename`: keys and rows of each workspace
-- Needs: SELECT on webhook_raw_events

SELECT coalesce(workspace, 'default') AS workspace, key_fingerprint,
  count(*) AS events, max(received_at) AS newest_received_at
FROM webhook_raw_events
GROUP BY coalesce(workspace, 'default'), key_fingerprint;

-- `ciolake doctor`: which keys have verified events
-- Needs: SELECT on webhook_raw_events

SELECT key_fingerprint, count(*) AS events FROM webhook_raw_events
WHERE coalesce(object_type, '') <> 'ciolake' GROUP BY key_fingerprint;

-- The loader, where a MERGE inserted fewer rows than it got: which had others written?
-- Needs: SELECT on the table, READ VOLUME

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_customer_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_customer_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_email_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_email_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_email_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_email_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_in_app_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_in_app_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_push_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_push_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_raw_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_raw_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_slack_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_slack_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_sms_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_sms_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_webhook_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_webhook_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`metric`
FROM `webhook_whatsapp_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_whatsapp_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

SELECT target.`event_id`, target.`event_date`, target.`received_at`, target.`target_table`, target.`unrouted_reason`, target.`body`, target.`body_encoding`, target.`workspace`, target.`body_sha256`
FROM `webhook_raw_events` AS target
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.1.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id;

-- The loader, at the same time, if there are several staged files: are all of them there?
-- Needs: READ VOLUME

SELECT count(*) AS staged_rows
FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_email_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE');

SELECT count(*) AS staged_rows
FROM read_files('/Volumes/main/cio/events/staging/00000007.0123456789abcdef.webhook_raw_events.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, event_date DATE');

-- `ciolake verify`
-- Needs: SELECT on the tables

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_customer_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_email_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_in_app_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_push_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_raw_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_raw_events GROUP BY event_id HAVING count(DISTINCT event_date) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_raw_events WHERE target_table NOT IN ('webhook_email_events', 'webhook_customer_events', 'webhook_sms_events', 'webhook_push_events', 'webhook_in_app_events', 'webhook_slack_events', 'webhook_webhook_events', 'webhook_whatsapp_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_raw_events WHERE unrouted_reason = 'key_conflict') AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_slack_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_sms_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_webhook_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT event_id FROM webhook_whatsapp_events
    GROUP BY event_id, event_date HAVING count(*) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM (SELECT event_id, event_date, 'webhook_email_events' AS home FROM webhook_email_events UNION ALL SELECT event_id, event_date, 'webhook_customer_events' AS home FROM webhook_customer_events UNION ALL SELECT event_id, event_date, 'webhook_sms_events' AS home FROM webhook_sms_events UNION ALL SELECT event_id, event_date, 'webhook_push_events' AS home FROM webhook_push_events UNION ALL SELECT event_id, event_date, 'webhook_in_app_events' AS home FROM webhook_in_app_events UNION ALL SELECT event_id, event_date, 'webhook_slack_events' AS home FROM webhook_slack_events UNION ALL SELECT event_id, event_date, 'webhook_webhook_events' AS home FROM webhook_webhook_events UNION ALL SELECT event_id, event_date, 'webhook_whatsapp_events' AS home FROM webhook_whatsapp_events) AS one
    WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table IS NULL)
    GROUP BY one.event_id, one.event_date HAVING count(DISTINCT one.home) > 1) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_customer_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_customer_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_customer_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_email_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_email_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_email_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_in_app_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_in_app_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_in_app_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_push_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_push_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_push_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_customer_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_customer_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_email_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_email_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_in_app_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_in_app_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_push_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_push_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_slack_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_slack_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_sms_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_sms_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_webhook_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_webhook_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one
        WHERE one.target_table = 'webhook_whatsapp_events' AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))
        AND NOT EXISTS (SELECT 1 FROM webhook_whatsapp_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one WHERE one.target_table IS NULL
    AND EXISTS (SELECT 1 FROM (SELECT event_id, event_date, 'webhook_email_events' AS home FROM webhook_email_events UNION ALL SELECT event_id, event_date, 'webhook_customer_events' AS home FROM webhook_customer_events UNION ALL SELECT event_id, event_date, 'webhook_sms_events' AS home FROM webhook_sms_events UNION ALL SELECT event_id, event_date, 'webhook_push_events' AS home FROM webhook_push_events UNION ALL SELECT event_id, event_date, 'webhook_in_app_events' AS home FROM webhook_in_app_events UNION ALL SELECT event_id, event_date, 'webhook_slack_events' AS home FROM webhook_slack_events UNION ALL SELECT event_id, event_date, 'webhook_webhook_events' AS home FROM webhook_webhook_events UNION ALL SELECT event_id, event_date, 'webhook_whatsapp_events' AS home FROM webhook_whatsapp_events) AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_raw_events AS one WHERE one.target_table IS NULL
    AND NOT EXISTS (SELECT 1 FROM (SELECT event_id, event_date, 'webhook_email_events' AS home FROM webhook_email_events UNION ALL SELECT event_id, event_date, 'webhook_customer_events' AS home FROM webhook_customer_events UNION ALL SELECT event_id, event_date, 'webhook_sms_events' AS home FROM webhook_sms_events UNION ALL SELECT event_id, event_date, 'webhook_push_events' AS home FROM webhook_push_events UNION ALL SELECT event_id, event_date, 'webhook_in_app_events' AS home FROM webhook_in_app_events UNION ALL SELECT event_id, event_date, 'webhook_slack_events' AS home FROM webhook_slack_events UNION ALL SELECT event_id, event_date, 'webhook_webhook_events' AS home FROM webhook_webhook_events UNION ALL SELECT event_id, event_date, 'webhook_whatsapp_events' AS home FROM webhook_whatsapp_events) AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date)) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_slack_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_slack_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_slack_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_sms_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_sms_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_sms_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_webhook_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_webhook_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_webhook_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_whatsapp_events AS one
        WHERE EXISTS (SELECT 1 FROM webhook_raw_events AS other
            WHERE one.event_id = other.event_id AND one.event_date = other.event_date AND other.target_table <> 'webhook_whatsapp_events')) AS found ORDER BY event_id LIMIT 5;

SELECT event_id, count(*) OVER () AS events FROM (SELECT one.event_id FROM webhook_whatsapp_events AS one
        WHERE NOT EXISTS (SELECT 1 FROM webhook_raw_events AS other WHERE one.event_id = other.event_id AND one.event_date = other.event_date) AND one.loaded_at < (SELECT min(loaded_at) FROM webhook_raw_events
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM webhook_raw_events))) AS found ORDER BY event_id LIMIT 5;

-- `ciolake verify` and `ciolake tables`: rows of a table
-- Needs: SELECT on the table

SELECT 'webhook_raw_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_raw_events UNION ALL SELECT 'webhook_email_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_email_events UNION ALL SELECT 'webhook_customer_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_customer_events UNION ALL SELECT 'webhook_sms_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_sms_events UNION ALL SELECT 'webhook_push_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_push_events UNION ALL SELECT 'webhook_in_app_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_in_app_events UNION ALL SELECT 'webhook_slack_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_slack_events UNION ALL SELECT 'webhook_webhook_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_webhook_events UNION ALL SELECT 'webhook_whatsapp_events' AS name, count(*) AS events, max(loaded_at) AS newest FROM webhook_whatsapp_events;

SELECT count(*) AS events FROM webhook_customer_events;

SELECT count(*) AS events FROM webhook_email_events;

SELECT count(*) AS events FROM webhook_in_app_events;

SELECT count(*) AS events FROM webhook_push_events;

SELECT count(*) AS events FROM webhook_raw_events;

SELECT count(*) AS events FROM webhook_slack_events;

SELECT count(*) AS events FROM webhook_sms_events;

SELECT count(*) AS events FROM webhook_webhook_events;

SELECT count(*) AS events FROM webhook_whatsapp_events;

-- `ciolake replay`: how many, and the stored bodies
-- Needs: SELECT on webhook_raw_events, or on webhook_unrouted_events

SELECT count(*) FROM webhook_unrouted_events WHERE TRUE;

SELECT event_date, event_id, received_at, key_fingerprint, body, body_encoding, body_bytes FROM webhook_raw_events WHERE event_date >= :first_date AND event_date <= :last_date AND target_table = :table AND array_contains(array(:event_ids_0), event_id) AND TRUE AND (event_date > :after_date OR (event_date = :after_date AND event_id > :after_id)) ORDER BY event_date, event_id LIMIT 2000;

-- `ciolake doctor`: does the warehouse answer?
-- Needs: CAN USE

SELECT 1 AS one;

-- `ciolake doctor`: types of columns
-- Needs: USE CATALOG, USE SCHEMA

SELECT table_name, column_name, full_data_type FROM information_schema.columns WHERE table_schema = :schema_name;

-- `ciolake doctor`: properties and grants
-- Needs: SELECT on the table; the right to see grants, or the check is skipped

SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE table_schema = :schema_name AND grantee = :principal;

SHOW GRANTS `00000000-0000-4000-8000-000000000001` ON CATALOG `main`;

SHOW GRANTS `00000000-0000-4000-8000-000000000001` ON SCHEMA `main`.`cio`;

SHOW GRANTS `00000000-0000-4000-8000-000000000001` ON VOLUME `main`.`cio`.`events`;

SHOW TBLPROPERTIES `webhook_customer_events`;

SHOW TBLPROPERTIES `webhook_email_events`;

SHOW TBLPROPERTIES `webhook_in_app_events`;

SHOW TBLPROPERTIES `webhook_push_events`;

SHOW TBLPROPERTIES `webhook_raw_events`;

SHOW TBLPROPERTIES `webhook_slack_events`;

SHOW TBLPROPERTIES `webhook_sms_events`;

SHOW TBLPROPERTIES `webhook_webhook_events`;

SHOW TBLPROPERTIES `webhook_whatsapp_events`;

-- `ciolake doctor` and `ciolake deploy`: has an event of ours become a row?
-- Needs: SELECT on webhook_raw_events

SELECT count(*) FROM webhook_raw_events WHERE event_id = :id;

SELECT event_id FROM webhook_raw_events WHERE event_id = 'ciolake-canary-0123456789abcdef';

-- `ciolake doctor --first-contact`: a table like webhook_email_events, dropped again
-- Needs: CREATE TABLE on the schema, READ VOLUME

DROP TABLE IF EXISTS `ciolake_scratch_0123456789ab`;

MERGE INTO `ciolake_scratch_0123456789ab` AS target
USING (
  SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
      CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`, `batch_id`, `workspace`, `customer_id`,
      `identifiers_id`, `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`,
      `broadcast_id`, `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`,
      `content_id`, `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`,
      `failure_message`, `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`,
      `link_id`, `machine`, `reading_notes`
  FROM read_files('/Volumes/main/cio/events/probe/ciolake_scratch_0123456789ab.0123.{1,2}.parquet', format => 'parquet', schema => 'event_id STRING, object_type STRING, metric STRING, event_timestamp TIMESTAMP, event_date DATE, received_at TIMESTAMP, loaded_at TIMESTAMP, batch_id STRING, workspace STRING, customer_id STRING, identifiers_id STRING, identifiers_email STRING, identifiers_cio_id STRING, delivery_id STRING, campaign_id BIGINT, broadcast_id BIGINT, newsletter_id BIGINT, transactional_message_id STRING, action_id BIGINT, parent_action_id BIGINT, content_id BIGINT, journey_id STRING, trigger_id BIGINT, trigger_event_id STRING, subject STRING, recipient STRING, failure_message STRING, content STRING, headers MAP<STRING, ARRAY<STRING>>, proxied BOOLEAN, prefetched BOOLEAN, synthetic BOOLEAN, href STRING, link_id BIGINT, machine BOOLEAN, reading_notes STRING')
) AS staged
ON target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date` AND target.`event_date` IN (DATE'2026-11-21', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`,
    `received_at`, `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`,
    `identifiers_email`, `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`,
    `newsletter_id`, `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`,
    `journey_id`, `trigger_id`, `trigger_event_id`, `subject`, `recipient`, `failure_message`,
    `content`, `headers`, `proxied`, `prefetched`, `synthetic`, `href`, `link_id`, `machine`,
    `reading_notes`)
VALUES (staged.`event_id`, staged.`object_type`, staged.`metric`, staged.`event_timestamp`,
    staged.`event_date`, staged.`received_at`, staged.`loaded_at`, staged.`batch_id`,
    staged.`workspace`, staged.`customer_id`, staged.`identifiers_id`, staged.`identifiers_email`,
    staged.`identifiers_cio_id`, staged.`delivery_id`, staged.`campaign_id`, staged.`broadcast_id`,
    staged.`newsletter_id`, staged.`transactional_message_id`, staged.`action_id`,
    staged.`parent_action_id`, staged.`content_id`, staged.`journey_id`, staged.`trigger_id`,
    staged.`trigger_event_id`, staged.`subject`, staged.`recipient`, staged.`failure_message`,
    staged.`content`, staged.`headers`, staged.`proxied`, staged.`prefetched`, staged.`synthetic`,
    staged.`href`, staged.`link_id`, staged.`machine`, staged.`reading_notes`);

SELECT `event_id`, `object_type`, `metric`, `event_timestamp`, `event_date`, `received_at`,
    `loaded_at`, `batch_id`, `workspace`, `customer_id`, `identifiers_id`, `identifiers_email`,
    `identifiers_cio_id`, `delivery_id`, `campaign_id`, `broadcast_id`, `newsletter_id`,
    `transactional_message_id`, `action_id`, `parent_action_id`, `content_id`, `journey_id`,
    `trigger_id`, `trigger_event_id`, `subject`, `recipient`, `failure_message`, `content`,
    to_json(`headers`) AS `headers`, `proxied`, `prefetched`, `synthetic`, `href`, `link_id`,
    `machine`, `reading_notes` FROM `ciolake_scratch_0123456789ab` ORDER BY event_id;

-- `ciolake deploy --destroy --tables`
-- Needs: MANAGE on, or ownership of, each

DROP TABLE IF EXISTS webhook_customer_events;

DROP TABLE IF EXISTS webhook_email_events;

DROP TABLE IF EXISTS webhook_in_app_events;

DROP TABLE IF EXISTS webhook_push_events;

DROP TABLE IF EXISTS webhook_raw_events;

DROP TABLE IF EXISTS webhook_slack_events;

DROP TABLE IF EXISTS webhook_sms_events;

DROP TABLE IF EXISTS webhook_webhook_events;

DROP TABLE IF EXISTS webhook_whatsapp_events;

DROP VIEW IF EXISTS campaign_performance;

DROP VIEW IF EXISTS customer_engagement_summary;

DROP VIEW IF EXISTS daily_email_engagement;

DROP VIEW IF EXISTS journey_performance;

DROP VIEW IF EXISTS webhook_error_summary;

DROP VIEW IF EXISTS webhook_unrouted_events;
