-- find_batch(batch_id) -> at most one row
-- One batch with what arming and release have written on it.
SELECT * FROM batch WHERE batch_id = $1

-- lock_batch(batch_id) -> at most one row
-- The same, held against other pushes until the transaction ends; what only refers to it, as results do, goes on.
SELECT * FROM batch WHERE batch_id = $1 FOR NO KEY UPDATE

-- find_erasing(batch_id) -> at most one row
-- Whether something of it is erased, or about to be.
SELECT 1 FROM erasing WHERE batch_id = $1

-- hold_new_batch(batch_id) -> one row
-- Of a batch that is not there yet: whoever makes it takes turns until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('new batch ' || $1::text, 0))

-- papers_known(paper_ids) -> one row per paper that has been pushed
-- Shared lock: they stay as they are until the batch is stored.
SELECT paper_id, items, points FROM paper WHERE paper_id = ANY ($1::text[]) ORDER BY paper_id FOR SHARE

-- put_batch(batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms, duration_s, rules, pushed_ms, papers) -> at most one row
-- A new batch, or the new version of a draft; none when it was armed meanwhile.
INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms, duration_s, rules, pushed_ms, papers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13::text[])
ON CONFLICT (batch_id) DO UPDATE SET
    title = excluded.title, occupation = excluded.occupation, level = excluded.level, subject = excluded.subject,
    kind = excluded.kind, paper_id = excluded.paper_id, papers = excluded.papers, admission_code = excluded.admission_code,
    starts_ms = excluded.starts_ms, duration_s = excluded.duration_s, rules = excluded.rules, pushed_ms = excluded.pushed_ms
WHERE batch.armed_ms IS NULL
RETURNING *

-- batches_between(from_ms, to_ms) -> any number of rows
-- Batches that start in [from, to), in the order of their starts.
SELECT * FROM batch WHERE starts_ms >= $1 AND starts_ms < $2 ORDER BY starts_ms, batch_id

-- count_sittings(batch_ids) -> one row per batch, recorded state, extra time and result state
-- The rest of a state is a function of time, applied by the reader.
SELECT sitting.batch_id, sitting.state, sitting.extra_time_s, newest.state AS result_state, count(*) AS sittings
FROM sitting
LEFT JOIN LATERAL (
    SELECT result.state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
) AS newest ON true
WHERE sitting.batch_id = ANY ($1::text[])
GROUP BY 1, 2, 3, 4
