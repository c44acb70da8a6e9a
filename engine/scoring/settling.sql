-- look(batch_id) -> at most one row
-- Whether every sitting has a final result, how the results stand, and which stand was counted last.
SELECT batch.armed_ms, EXISTS (SELECT FROM erasing WHERE erasing.batch_id = $1) AS is_erased, results.count AS results, results.stand, newest.stand AS counted_stand, newest.is_withheld,
    newest.counted_ms, (
        SELECT count(*) FROM sitting WHERE sitting.batch_id = $1 AND coalesce((
            SELECT result.state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
        ), 'pending_assessor') = 'pending_assessor'
    ) AS ungraded
FROM batch
CROSS JOIN (
    SELECT count(*) AS count, count(*) || '/' || coalesce(sum(revision), 0) AS stand FROM result WHERE batch_id = $1
) AS results
LEFT JOIN LATERAL (
    SELECT stand, is_withheld, counted_ms FROM item_statistics WHERE batch_id = $1 ORDER BY number DESC LIMIT 1
) AS newest ON true
WHERE batch.batch_id = $1

-- insert_request(batch_id) -> none
-- Ask the grader to count.
INSERT INTO statistics_request (batch_id) VALUES ($1)

-- needs_statistics(batch_id, sittings_min) -> at most one row
-- Whether it is released by people, and has been graded, and flags could stand.
SELECT batch.released_ms IS NULL AND batch.armed_ms IS NOT NULL AND batch.rules ->> 'release' = 'approved'
    AND (SELECT count(*) FROM result WHERE batch_id = $1 AND state = 'graded') >= $2
    AND NOT EXISTS (SELECT FROM sitting WHERE sitting.batch_id = $1 AND coalesce((
        SELECT result.state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
    ), 'pending_assessor') = 'pending_assessor')
FROM batch WHERE batch_id = $1
