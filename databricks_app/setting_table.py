"""Every setting in one table: name, default and meaning.

`.env.example` and the tables in the README and the docs are written from it: `python -m
tests.support.setting_tables`.
"""

from __future__ import annotations

from typing import Literal, get_args

from databricks_app import setting_values as read
from databricks_app.setting_values import Inbox, Setting, Store

StalePolicy = Literal["second_sight", "reject", "accept"]

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "CIO_WEBHOOK_SIGNING_KEYS",
        "signing_keys",
        "",
        read.keys,
        "Signing keys of the reporting webhooks, comma-separated. A request may be signed with "
        "any of them. If this is not set and the address is a loopback address, `ciolake serve` "
        "creates a development key and saves it in `.env`. If it is empty, every request is "
        "answered 503.",
    ),
    Setting(
        "CIO_WORKSPACES",
        "workspaces",
        "",
        read.workspaces,
        "Which signing key belongs to which workspace: `name:fingerprint`, comma-separated. Keep "
        "the entries of old keys. Events signed with a key that is not listed belong to the "
        "workspace `default`.",
    ),
    Setting(
        "CIO_APP_API_KEY",
        "app_api_key",
        "",
        read.app_api_key,
        "App API key, for `ciolake webhooks` and `ciolake doctor`. With several workspaces use "
        "CIO_APP_API_KEYS instead.",
    ),
    Setting(
        "CIO_APP_API_KEYS",
        "app_api_keys",
        "",
        read.app_api_keys,
        "App API key of each workspace: `name:key`, comma-separated.",
    ),
    Setting(
        "CIO_REGION",
        "region",
        "us",
        read.choice("us", "eu"),
        "Region of the Customer.io account: `us` or `eu`.",
    ),
    Setting(
        "CIO_REGIONS",
        "regions",
        "",
        read.regions,
        "Region of single workspaces: `name:us` or `name:eu`, comma-separated. Overrides "
        "CIO_REGION.",
    ),
    Setting(
        "CIO_TIMESTAMP_TOLERANCE_SECONDS",
        "tolerance_seconds",
        "300",
        read.whole(1, 30 * 86400),
        "How many seconds the timestamp of a request may differ from the clock of this machine, in "
        "the past or in the future.",
    ),
    Setting(
        "CIO_STALE_TIMESTAMPS",
        "stale_timestamps",
        "second_sight",
        read.choice(*get_args(StalePolicy)),
        "What to do with a valid signature whose timestamp differs by more than that. "
        "`second_sight`: the event is refused (401) the first time and accepted when the same body "
        "comes again, which proves a sender that repeats its timestamps or a wrong clock here. "
        "Then such events are accepted at once, until a day passes without one, but never if they "
        "are older than 8 days. `reject`: always 401. `accept`: always accepted.",
    ),
    Setting(
        "CIO_UNVERIFIED_STATUS",
        "unverified_status",
        "auto",
        read.unverified_status,
        "Answer to a wrong signature. `auto`: 401 while every workspace with an active key has "
        "verified a request of Customer.io in the last 10 minutes, otherwise 503, because "
        "Customer.io waits an hour after a 401; a missing or malformed header is answered 401. "
        "`401`, `503`: always this status, also for such a header.",
    ),
    Setting(
        "CIO_SIGNATURE_IN_QUERY",
        "is_signature_in_query",
        "off",
        read.switch,
        "`on`: if both headers are missing, read signature and timestamp from the query string. "
        "A relay with `CIO_RELAY_SIGNATURE=both` sends them there.",
    ),
    Setting(
        "CIO_STORE",
        "store",
        "local",
        read.choice(*get_args(Store)),
        "Where events are stored: `local` (Delta tables in a folder) or `databricks` (a volume and "
        "tables in Unity Catalog).",
    ),
    Setting(
        "CIO_INBOX",
        "inbox",
        "local",
        read.choice(*get_args(Inbox)),
        "Where accepted events wait until they are loaded: `local` (CIO_DATA_DIR) or `volume` (the "
        "volume in Unity Catalog). With `CIO_STORE=databricks` set `local` only on a machine with "
        "a disk that lasts, never in a Databricks App; see docs/databricks-store.md. "
        "`CIO_STORE=local` allows only `local`.",
        databricks_default="volume",
    ),
    Setting(
        "CIO_DATA_DIR",
        "data_dir",
        "./data",
        read.folder,
        "Folder of the local store and of the local inbox. `tables/` in it holds the tables, "
        "`inbox/` the events that are not loaded yet.",
    ),
    Setting(
        "CIO_CATALOG",
        "catalog",
        "",
        read.optional_name,
        "Catalog in Unity Catalog. Required with `CIO_STORE=databricks`.",
    ),
    Setting(
        "CIO_SCHEMA",
        "schema",
        "customerio",
        read.name,
        "Schema of the tables and the volume, in the catalog.",
    ),
    Setting(
        "CIO_VOLUME",
        "volume",
        "ciolake",
        read.name,
        "Volume in the schema. Its folder `inbox/` holds the events that are not loaded yet, "
        "unless `CIO_INBOX=local`.",
    ),
    Setting(
        "DATABRICKS_WAREHOUSE_ID",
        "warehouse_id",
        "",
        read.optional_name,
        "Id of the SQL warehouse that loads the tables. Required with `CIO_STORE=databricks`.",
    ),
    Setting(
        "CIO_FLUSH_INTERVAL_SECONDS",
        "flush_interval_seconds",
        "2",
        read.seconds(0.05, 3600),
        "Seconds between two loads of accepted events into the tables of the local store. A "
        "shorter interval makes the tables fresher and creates more commits. With "
        "`CIO_STORE=databricks` it has no effect: there CIO_FRESHNESS_SECONDS decides.",
    ),
    Setting(
        "CIO_FRESHNESS_SECONDS",
        "freshness_seconds",
        "900",
        read.seconds(0.05, 86400),
        "How old an event may become, in seconds, until it is a row, with `CIO_STORE=databricks`. "
        "The loader wakes the SQL warehouse as late as this allows and then loads everything that "
        "waits. Less is fresher and costs more; see docs/databricks-store.md.",
    ),
    Setting(
        "CIO_WAREHOUSE_HOURS",
        "warehouse_hours",
        "",
        read.warehouse_hours,
        "When people use the warehouse, for example `mon-fri 08:00-18:00 Europe/Berlin`; several "
        "spans are comma-separated before the time zone. In these hours, while somebody else keeps "
        "the warehouse running, events are loaded at once. If this is not set, never.",
    ),
    Setting(
        "CIO_WAREHOUSE_DAILY_SECONDS",
        "warehouse_daily_seconds",
        "",
        read.optional_seconds(60, 86400),
        "Ceiling of the seconds that the warehouse runs for the loader in a day (UTC), an "
        "estimate. Above it an alert begins, and the loader loads only once an hour, or when the "
        "inbox is half full, until the day ends. No event is refused or lost. If this is not set, "
        "there is no ceiling.",
    ),
    Setting(
        "CIO_WAREHOUSE_STOP",
        "is_warehouse_stopped",
        "off",
        read.switch,
        "`on`: after a load the loader stops the warehouse, if the warehouse has the tag "
        "`ciolake=loader` and no query runs on it. The loader's identity needs CAN MANAGE on it.",
    ),
    Setting(
        "CIO_MAX_BODY_BYTES",
        "max_body_bytes",
        str(32 << 20),
        read.whole(1024, 1 << 30),
        "Largest event that is stored whole. Of a larger one, the raw table gets a row with the "
        "size, the digest and the first 64 KiB.",
    ),
    Setting(
        "CIO_INBOX_MAX_BYTES",
        "inbox_max_bytes",
        "",
        read.optional_bytes(1 << 20),
        "Maximum size of all events that are not loaded yet. Above it the receiver answers 503. "
        "If this is not set, it is 80 % of the disk space that is free at start.",
    ),
    Setting(
        "CIO_INBOX_FLOOR_BYTES",
        "inbox_floor_bytes",
        "",
        read.optional_bytes(0),
        "Free disk space that is reserved for the tables. With less free space the receiver "
        "answers 503. If this is not set, it is 10 % of the disk, at least 1 GiB.",
    ),
    Setting(
        "CIO_APPEND_DEADLINE_SECONDS",
        "append_deadline_seconds",
        "3",
        read.seconds(0.05, 60),
        "How many seconds storing an event may take; after that the answer is 503. Customer.io "
        "waits 4 s for an answer.",
    ),
    Setting(
        "CIO_UPLOADS",
        "uploads",
        "8",
        read.whole(1, 64),
        "Has no effect any more: `CIO_FILES_CALLS` limits the uploads of all web processes.",
        has_effect=False,
    ),
    Setting(
        "CIO_FILES_CALLS",
        "files_calls",
        "5",
        read.whole(2, 64),
        "How many calls of the Files API all processes of `ciolake serve` make at the same time; "
        "two of them are for uploads of accepted events. The platform refuses more than about 10.",
    ),
    Setting(
        "CIO_HOST",
        "host",
        "127.0.0.1",
        read.not_blank,
        "Address to listen on. In a Databricks App the default is 0.0.0.0.",
    ),
    Setting(
        "PORT",
        "port",
        "8000",
        read.whole(0, 65535),
        "Port to listen on; 0 means any free port.",
        also=("DATABRICKS_APP_PORT",),
    ),
    Setting("CIO_WEB_WORKERS", "web_workers", "2", read.whole(1, 64), "Number of web processes."),
    Setting(
        "CIO_WEB_THREADS",
        "web_threads",
        "16",
        read.whole(1, 256),
        "Number of threads in each web process. One request may wait for the disk in each thread.",
    ),
    Setting(
        "CIO_ADMIN_TOKEN",
        "admin_token",
        "",
        str.strip,
        "Token for `/metrics` and for the details of `/readyz`. Send it as `Authorization: "
        "Bearer <token>`. If this is not set and the address is a loopback address, `ciolake "
        "serve` creates a token and saves it in `.env`. If it is empty, or not set on another "
        "address, nobody sees these two. A Databricks App shows them to signed-in users instead.",
    ),
    Setting(
        "CIO_ALERT_URL",
        "alert_url",
        "",
        read.http_url,
        "URL that gets a JSON POST when an alert begins and when it ends. The alerts are: feed "
        "silent, backlog, unrouted growth, stale timestamps, wrong signatures, refused requests, "
        "warehouse seconds, and the TLS certificate of `CIO_RELAY_URL`. If this is not set, no "
        "alerts are sent.",
    ),
    Setting(
        "CIO_ALERT_LOOK_SECONDS",
        "alert_look_seconds",
        "10",
        read.seconds(0.1, 3600),
        "Seconds between two checks whether an alert begins or ends.",
    ),
    Setting(
        "CIO_LOG_LEVEL",
        "log_level",
        "info",
        read.choice("debug", "info", "warning", "error"),
        "Minimum level of log lines: `debug`, `info`, `warning` or `error`.",
    ),
)
