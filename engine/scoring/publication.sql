-- lock_publication() -> none
-- Numbers are given in commit order: without this, a reader could pass a number that is not yet visible.
SELECT pg_advisory_xact_lock(745001)

-- publish(sitting_ids) -> none
-- Put results into the feed, in a fixed order within one act.
UPDATE result SET publication = numbered.publication
FROM (
    SELECT sitting_id, revision, nextval('publication') AS publication
    FROM (
        SELECT sitting_id, revision FROM result
        WHERE sitting_id = ANY ($1::text[]) AND publication IS NULL
        ORDER BY sitting_id, revision
    ) AS ordered
) AS numbered
WHERE result.sitting_id = numbered.sitting_id AND result.revision = numbered.revision

-- lock_batch(batch_id) -> at most one row
-- The batch whose results are to be released.
SELECT * FROM batch WHERE batch_id = $1 FOR UPDATE

-- unpublished(batch_id) -> any number of rows
-- What a release puts into the feed.
SELECT sitting_id FROM result WHERE batch_id = $1 AND publication IS NULL

-- count_ungraded(batch_id) -> one row
-- Sittings that have no result yet, or wait for an assessor.
SELECT count(*) FROM sitting
LEFT JOIN result ON result.sitting_id = sitting.sitting_id AND result.state <> 'pending_assessor'
WHERE sitting.batch_id = $1 AND result.sitting_id IS NULL

-- release(batch_id, released_ms, released_by) -> none
-- Results graded later are published as they come.
UPDATE batch SET released_ms = $2, released_by = $3::text[] WHERE batch_id = $1 AND released_ms IS NULL
