-- page_of_deliveries(webhook_id, state, batch_id, after, rows_max) -> up to rows_max rows
-- In publication order; state and batch may be null for all.
SELECT message_id, batch_id, sitting_id, revision, publication, state, queued_ms, attempts, attempted_ms,
    attempted_status, attempted_fault
FROM webhook_delivery
WHERE webhook_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR batch_id = $3) AND publication > $4
ORDER BY publication
LIMIT $5

-- lock_webhook(webhook_id) -> at most one row
-- Replays and pushes of the same webhook take turns.
SELECT webhook_id FROM webhook WHERE webhook_id = $1 FOR UPDATE

-- unknown_messages(webhook_id, message_ids) -> any number of rows
-- Which of these are none of this webhook's.
SELECT message_id FROM unnest($2::text[]) AS asked (message_id)
WHERE NOT EXISTS (SELECT FROM webhook_delivery
                  WHERE webhook_delivery.message_id = asked.message_id AND webhook_delivery.webhook_id = $1)

-- replay(webhook_id, message_ids, queued_ms) -> one row
-- Send these again, or for null all the dead ones; each under the id that it always had. How many there were.
WITH replayed AS (
    UPDATE webhook_delivery SET state = 'waiting', queued_ms = $3
    WHERE webhook_id = $1
        AND CASE WHEN $2::text[] IS NULL THEN state = 'dead' ELSE message_id = ANY ($2) AND state <> 'waiting' END
    RETURNING batch_id
), counted AS (
    UPDATE webhook_queue SET waiting = waiting + more.deliveries
    FROM (SELECT batch_id, count(*) AS deliveries FROM replayed GROUP BY batch_id) AS more
    WHERE webhook_queue.webhook_id = $1 AND webhook_queue.batch_id = more.batch_id
)
SELECT count(*) FROM replayed
