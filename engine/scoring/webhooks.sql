-- insert_webhook(webhook_id, url, batches, created_ms) -> at most one row
-- It gets what is published from now on: its cursor is the end of the feed.
INSERT INTO webhook (webhook_id, url, batches, created_ms, cursor)
SELECT $1, $2, $3::text[], $4, last_publication FROM feed
ON CONFLICT (webhook_id) DO NOTHING
RETURNING webhook_id

-- count_webhooks() -> one row
-- To keep within their bound.
SELECT count(*) FROM webhook

-- lock_webhook(webhook_id) -> at most one row
-- As it stands; pushes of the same webhook take turns.
SELECT webhook_id, url, batches FROM webhook WHERE webhook_id = $1 FOR UPDATE

-- update_webhook(webhook_id, url, batches) -> none
-- What is under way goes to the new place, too.
UPDATE webhook SET url = $2, batches = $3::text[] WHERE webhook_id = $1

-- secret_in_use(webhook_id) -> at most one row
-- Its digest: enough to tell whether another one was pushed.
SELECT digest FROM webhook_secret WHERE webhook_id = $1 AND until_ms IS NULL

-- retire_secrets(webhook_id, until_ms) -> none
-- The one in use signs a little longer, beside the next.
UPDATE webhook_secret SET until_ms = $2 WHERE webhook_id = $1 AND until_ms IS NULL

-- revive_secret(webhook_id, digest) -> at most one row
-- A secret that comes back before it was forgotten.
UPDATE webhook_secret SET until_ms = NULL WHERE webhook_id = $1 AND digest = $2 RETURNING webhook_id

-- insert_secret(webhook_id, digest, wrapped, made_ms) -> none
-- What signs from now on.
INSERT INTO webhook_secret (webhook_id, digest, wrapped, made_ms) VALUES ($1, $2, $3, $4)

-- enable_webhook(webhook_id) -> at most one row
-- After it answered 410: everything since then is sent.
UPDATE webhook SET disabled_ms = NULL, disabled_why = NULL WHERE webhook_id = $1 RETURNING webhook_id

-- hasten_queues(webhook_id, hold_ms) -> none
-- What waits long for its next attempt is tried at once; what is only held by a courier, which lasts no longer, is left.
UPDATE webhook_queue SET visible_ms = 0, attempts = 0
WHERE webhook_id = $1 AND waiting > 0 AND attempts > 0
    AND visible_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint

-- delete_webhook(webhook_id) -> at most one row
-- With its secrets and deliveries.
DELETE FROM webhook WHERE webhook_id = $1 RETURNING webhook_id

-- show_webhooks(webhook_id) -> any number of rows
-- One or, for null, all, each with how many deliveries wait and how many are dead.
SELECT webhook_id, url, batches, created_ms, disabled_ms, disabled_why,
    (SELECT coalesce(sum(waiting), 0) FROM webhook_queue WHERE webhook_queue.webhook_id = webhook.webhook_id) AS waiting,
    (SELECT count(*) FROM webhook_delivery
     WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state = 'dead') AS dead,
    (SELECT min(queued_ms) FROM webhook_delivery
     WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state = 'waiting') AS oldest_ms
FROM webhook
WHERE $1::text IS NULL OR webhook_id = $1
ORDER BY webhook_id
