-- newest(batch_id) -> one row
-- What was counted last.
SELECT counted_ms, document FROM item_statistics WHERE batch_id = $1 ORDER BY number DESC LIMIT 1

-- find_batch(batch_id) -> one row
-- What the page says of the batch.
SELECT title, occupation, level, subject, starts_ms, rules ->> 'pass_mark' AS pass_mark FROM batch WHERE batch_id = $1

-- scores_of(batch_id) -> one row per score
-- How many have each published score, of the newest results, and how many of them pass.
SELECT (document::json ->> 'score')::numeric AS score, count(*) AS count,
    count(*) FILTER (WHERE (document::json ->> 'passed')::boolean) AS passed
FROM (
    SELECT DISTINCT ON (sitting_id) state, document FROM result WHERE batch_id = $1 ORDER BY sitting_id, revision DESC
) AS newest
WHERE state = 'graded' GROUP BY 1 ORDER BY 1

-- states_of(batch_id) -> one row per state
-- How many of the newest results are graded, absent, void.
SELECT state, count(*) AS count FROM (
    SELECT DISTINCT ON (sitting_id) state FROM result WHERE batch_id = $1 ORDER BY sitting_id, revision DESC
) AS newest GROUP BY state ORDER BY state
