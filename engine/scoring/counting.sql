-- take_request(parked) -> at most one row
-- The batch that has waited longest for its statistics, but for parked ones; whoever else asked for it is served as well.
DELETE FROM statistics_request WHERE batch_id = (
    SELECT batch_id FROM statistics_request WHERE batch_id <> ALL ($1::text[])
    ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING batch_id

-- hold_batch(batch_id) -> at most one row
-- The batch: a purge begins after this transaction, or has begun.
SELECT true FROM batch WHERE batch_id = $1 FOR SHARE

-- is_erased(batch_id) -> one row
-- Whether its answers go or are gone; asked after the batch is held, else a purge that was waited for is not seen.
SELECT EXISTS (SELECT FROM erasing WHERE batch_id = $1)

-- stand_of(batch_id) -> one row
-- Which results there are; every new revision changes it.
SELECT count(*) || '/' || coalesce(sum(revision), 0) FROM result WHERE batch_id = $1

-- find_item_index(batch_id, form) -> one row
-- The items of one of the batch's papers with their options, in the paper's order.
SELECT item_index FROM seal WHERE batch_id = $1 AND form = $2

-- is_to_be_sat(paper_digest) -> one row
-- Whether a sitting over this paper, of whatever batch, is still open or to come.
SELECT EXISTS (
    SELECT FROM seal JOIN sitting USING (batch_id)
    WHERE seal.paper_digest = $1 AND sitting.state NOT IN ('submitted', 'collected', 'absent', 'void'))

-- graded_sittings(batch_id) -> any number of rows
-- Sittings with a graded result, and which of the batch's papers each had.
SELECT sitting_id, batch_id, form FROM sitting
WHERE batch_id = $1 AND sitting_id IN (SELECT sitting_id FROM result WHERE batch_id = $1 AND state = 'graded')
ORDER BY sitting_id

-- marks_of(sitting_ids) -> one row per graded sitting
-- The marks of each newest result, where it is graded.
SELECT sitting_id, marks FROM (
    SELECT DISTINCT ON (sitting_id) sitting_id, state, marks FROM result
    WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id, revision DESC
) AS newest WHERE state = 'graded'

-- changes_of(sitting_ids) -> one row per sitting with changes
-- What was changed when, in the order in which it was accepted; not to what.
SELECT sitting_id, array_agg(item ORDER BY generation, position, seq) AS items,
    array_agg(saved_ms ORDER BY generation, position, seq) AS saved_ms
FROM response_history WHERE sitting_id = ANY ($1::text[]) GROUP BY sitting_id

-- insert_statistics(batch_id, stand, is_withheld, counted_ms, document) -> none
-- What was counted, beside what was counted before.
INSERT INTO item_statistics (batch_id, stand, is_withheld, counted_ms, document) VALUES ($1, $2, $3, $4, $5)
