-- take_queues(queues_max, per_webhook_max, busy_webhooks, busy_queues, hold_ms, wait_ms_max) -> up to queues_max rows
-- Queues in which something is due, held for a while, or that wait longer than anything does: a clock was set back.
WITH moment AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
), taken AS (
    SELECT due.webhook_id, due.batch_id
    FROM webhook LEFT JOIN unnest($3::text[], $4::integer[]) AS busy (webhook_id, queues) USING (webhook_id),
        moment,
        LATERAL (
            SELECT queue.webhook_id, queue.batch_id FROM webhook_queue AS queue
            WHERE queue.webhook_id = webhook.webhook_id AND queue.waiting > 0
                AND (queue.visible_ms <= moment.now_ms OR queue.visible_ms > moment.now_ms + $6::bigint)
            ORDER BY queue.visible_ms
            LIMIT greatest(0, $2::integer - coalesce(busy.queues, 0))
            FOR UPDATE SKIP LOCKED
        ) AS due
    WHERE webhook.disabled_ms IS NULL
    LIMIT $1
)
UPDATE webhook_queue AS queue SET visible_ms = moment.now_ms + $5::bigint, turn = turn + 1
FROM taken, moment
WHERE queue.webhook_id = taken.webhook_id AND queue.batch_id = taken.batch_id
RETURNING queue.webhook_id, queue.batch_id, queue.turn, queue.attempts, queue.waiting

-- target(webhook_id) -> at most one row
-- Where to, and what signs: the secret in use and one former; none when it was deleted or disabled meanwhile.
SELECT url, ARRAY (
    SELECT wrapped FROM webhook_secret
    WHERE webhook_secret.webhook_id = webhook.webhook_id
        AND (until_ms IS NULL OR until_ms > extract(epoch FROM clock_timestamp()) * 1000)
    ORDER BY until_ms DESC NULLS FIRST, made_ms DESC
    LIMIT 2
) AS secrets
FROM webhook WHERE webhook_id = $1 AND disabled_ms IS NULL

-- waiting(webhook_id, batch_id, rows_max) -> up to rows_max rows
-- The head of a queue: what is to be sent, in the order in which it was published.
SELECT message_id, publication, result.document,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint - queued_ms AS waited_ms
FROM webhook_delivery LEFT JOIN result USING (publication)
WHERE webhook_delivery.webhook_id = $1 AND webhook_delivery.batch_id = $2 AND webhook_delivery.state = 'waiting'
ORDER BY publication
LIMIT $3

-- settle(message_id, state, status, fault, turn, hold_ms) -> at most one row
-- A delivery has come to its end, and what is behind it is next; whether the queue is still held by this turn.
WITH moment AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
), settled AS (
    UPDATE webhook_delivery SET state = $2, attempts = attempts + 1, attempted_ms = now_ms, attempted_status = $3,
        attempted_fault = $4
    FROM moment WHERE message_id = $1 AND state = 'waiting'
    RETURNING webhook_id, batch_id
)
UPDATE webhook_queue AS queue
SET waiting = waiting - 1, attempts = 0,
    visible_ms = CASE WHEN turn = $5 THEN now_ms + $6::bigint ELSE visible_ms END
FROM settled, moment
WHERE queue.webhook_id = settled.webhook_id AND queue.batch_id = settled.batch_id
RETURNING turn = $5 AS is_held

-- put_off(webhook_id, batch_id, turn, message_id, status, fault, wait_ms) -> none
-- An attempt in vain: the queue, and with it everything behind its head, waits.
WITH moment AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
), attempted AS (
    UPDATE webhook_delivery SET attempts = attempts + 1, attempted_ms = now_ms, attempted_status = $5,
        attempted_fault = $6
    FROM moment WHERE message_id = $4 AND state = 'waiting'
)
UPDATE webhook_queue SET attempts = attempts + 1, visible_ms = now_ms + $7::bigint
FROM moment WHERE webhook_id = $1 AND batch_id = $2 AND turn = $3

-- let_go(webhook_id, batch_id, turn, wait_ms) -> none
-- Give a queue back, to be taken by whoever comes, after a while or at once.
UPDATE webhook_queue SET visible_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $4::bigint
WHERE webhook_id = $1 AND batch_id = $2 AND turn = $3

-- recount(webhook_id, batch_id, turn, waiting) -> none
-- Deliveries that were deleted do not wait any more; nothing is changed when some came meanwhile.
UPDATE webhook_queue SET waiting = 0 WHERE webhook_id = $1 AND batch_id = $2 AND turn = $3 AND waiting = $4

-- disable(webhook_id, why) -> none
-- It said that it wants nothing more; what waits stays where it is.
UPDATE webhook SET disabled_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint, disabled_why = $2
WHERE webhook_id = $1 AND disabled_ms IS NULL

-- figures() -> one row
-- What waits for webhooks that are enabled, how long the oldest has, and what was given up.
SELECT coalesce(sum((SELECT sum(waiting) FROM webhook_queue
                     WHERE webhook_queue.webhook_id = webhook.webhook_id)), 0)::bigint AS waiting,
    coalesce(sum((SELECT count(*) FROM webhook_delivery
                  WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state = 'dead')), 0)::bigint AS dead,
    coalesce(max((extract(epoch FROM clock_timestamp()) * 1000)::bigint
                 - (SELECT min(queued_ms) FROM webhook_delivery
                    WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state = 'waiting')), 0) AS oldest_ms
FROM webhook WHERE disabled_ms IS NULL
