-- batch_exists(batch_id) -> at most one row
-- To tell an empty batch from none.
SELECT 1 FROM batch WHERE batch_id = $1

-- page_of_feed(after, rows_max) -> up to rows_max rows
-- Every released revision of every batch, in publication order.
SELECT publication, document FROM result WHERE publication > $1 ORDER BY publication LIMIT $2

-- find_sitting(sitting_id) -> at most one row
-- Whether there is such a sitting, and the marks of its newest released result.
SELECT sitting.sitting_id, (
    SELECT result.marks FROM result
    WHERE result.sitting_id = sitting.sitting_id AND result.publication IS NOT NULL
    ORDER BY revision DESC LIMIT 1
) AS marks
FROM sitting WHERE sitting_id = $1

-- responses_of(sitting_id) -> any number of rows
-- The newest recorded value per item.
SELECT item, seq, value FROM response WHERE sitting_id = $1 ORDER BY item

-- history_of(sitting_id) -> any number of rows
-- Every accepted change in the order it was accepted.
SELECT item, seq, value, saved_ms FROM response_history WHERE sitting_id = $1 ORDER BY generation, position, seq
