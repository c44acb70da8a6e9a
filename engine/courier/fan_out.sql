-- behind() -> any number of rows
-- Webhooks for which something was published that is no delivery yet.
SELECT webhook_id FROM webhook
WHERE disabled_ms IS NULL AND EXISTS (SELECT FROM result WHERE publication > webhook.cursor)
ORDER BY webhook_id

-- fan_out(webhook_id, results_max) -> at most one row
-- The next results of the feed become deliveries, and the cursor moves on; no row when another courier does it just now.
WITH target AS (
    SELECT webhook_id, cursor, batches FROM webhook WHERE webhook_id = $1 AND disabled_ms IS NULL FOR UPDATE SKIP LOCKED
), found AS (
    SELECT result.publication, result.batch_id, result.sitting_id, result.revision, result.document,
        target.batches IS NULL OR result.batch_id = ANY (target.batches) AS is_wanted
    FROM target, result
    WHERE result.publication > target.cursor
    ORDER BY result.publication
    LIMIT $2
), moment AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
), queued AS (
    INSERT INTO webhook_delivery (message_id, webhook_id, batch_id, sitting_id, revision, publication, queued_ms)
    SELECT 'msg_' || left(encode(sha256(convert_to($1 || ' ' || document, 'UTF8')), 'hex'), 40),
        $1, batch_id, sitting_id, revision, publication, now_ms
    FROM found, moment WHERE is_wanted
    ON CONFLICT DO NOTHING
    RETURNING batch_id
), counted AS (
    INSERT INTO webhook_queue (webhook_id, batch_id, waiting, visible_ms)
    SELECT $1, batch_id, count(*), 0 FROM queued GROUP BY batch_id ORDER BY batch_id
    ON CONFLICT (webhook_id, batch_id) DO UPDATE SET waiting = webhook_queue.waiting + excluded.waiting
)
UPDATE webhook SET cursor = (SELECT max(publication) FROM found)
WHERE webhook_id = $1 AND EXISTS (SELECT FROM found)
RETURNING (SELECT count(*) FROM queued)
