-- take_publications(count) -> one row
-- The last of the next `count` numbers, a moment in microseconds unless more were given; the feed is held until the commit.
UPDATE feed SET last_publication = greatest(last_publication + $1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
RETURNING last_publication

-- publish(sitting_ids, revisions, publications) -> none
-- Put results into the feed under the numbers taken for them.
UPDATE result SET publication = numbered.publication
FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS numbered (sitting_id, revision, publication)
WHERE result.sitting_id = numbered.sitting_id AND result.revision = numbered.revision AND result.publication IS NULL

-- lock_batch(batch_id) -> at most one row
-- The batch whose results are to be released; the one lock for which grading, too, must wait: it asks whether to publish.
SELECT * FROM batch WHERE batch_id = $1 FOR UPDATE

-- unpublished(batch_id) -> any number of rows
-- What a release puts into the feed: of each sitting the newest revision, and none that others have overtaken.
SELECT sitting_id, revision FROM result
WHERE batch_id = $1 AND publication IS NULL AND NOT EXISTS (
    SELECT FROM result AS newer WHERE newer.sitting_id = result.sitting_id AND newer.revision > result.revision)
ORDER BY sitting_id

-- count_ungraded(batch_id) -> one row
-- Sittings that have no result yet, or whose newest waits for an assessor: a regrade may have one wait again.
SELECT count(*) FROM sitting
WHERE sitting.batch_id = $1 AND coalesce((
    SELECT result.state FROM result WHERE result.sitting_id = sitting.sitting_id ORDER BY revision DESC LIMIT 1
), 'pending_assessor') = 'pending_assessor'

-- release(batch_id, released_ms, released_by) -> none
-- Results graded later are published as they come.
UPDATE batch SET released_ms = $2, released_by = $3::text[] WHERE batch_id = $1 AND released_ms IS NULL
