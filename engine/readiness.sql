-- held_partitions() -> one row
-- How many partitions some recorder holds, or held until a moment ago: a restart under way is nothing to tell.
SELECT count(*) FROM recording JOIN recorder ON recorder.owner = recording.leased_by
WHERE recorder.alive_until > clock_timestamp() - interval '10 seconds'

-- late_webhooks(late_ms) -> any number of rows
-- Webhooks that wait too long, for a delivery or what is none yet (published: a moment in microseconds), or are disabled.
WITH moment AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
)
SELECT webhook_id, disabled_why, now_ms - oldest_ms AS waited_ms
FROM webhook, moment, LATERAL (
    SELECT least(
        (SELECT min(queued_ms) FROM webhook_delivery
         WHERE webhook_delivery.webhook_id = webhook.webhook_id AND state = 'waiting'),
        (SELECT min(publication) / 1000 FROM result WHERE publication > webhook.cursor)) AS oldest_ms
) AS waiting
WHERE disabled_ms IS NOT NULL OR now_ms - oldest_ms > $1
ORDER BY webhook_id
