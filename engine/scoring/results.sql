-- batch_exists(batch_id) -> at most one row
-- To tell an empty batch from none.
SELECT 1 FROM batch WHERE batch_id = $1

-- page_of_feed(after, rows_max) -> up to rows_max rows
-- Every released revision of every batch, in publication order.
SELECT publication, document FROM result WHERE publication > $1 ORDER BY publication LIMIT $2

-- find_sitting(sitting_id) -> at most one row
-- Whether there is such a sitting, and the marks of its newest released result; `is_final`: it waits for no assessor.
SELECT sitting.sitting_id, EXISTS (SELECT FROM erasing WHERE erasing.batch_id = sitting.batch_id) AS is_erased, newest.marks, newest.state IS NOT NULL AND newest.state <> 'pending_assessor' AS is_final
FROM sitting LEFT JOIN LATERAL (
    SELECT result.marks, result.state FROM result
    WHERE result.sitting_id = sitting.sitting_id AND result.publication IS NOT NULL
    ORDER BY revision DESC LIMIT 1
) AS newest ON true
WHERE sitting_id = $1

-- assessments_of(sitting_id) -> any number of rows
-- Every assessor's marks of a sitting, corrected ones too, in the order in which they came.
SELECT nullif(item, '') AS item, assessor, mark, comment, marked_ms
FROM assessment_mark JOIN assessment_task USING (task_id)
WHERE sitting_id = $1 ORDER BY number

-- responses_of(sitting_id) -> any number of rows
-- The newest recorded value per item.
SELECT item, seq, value FROM response WHERE sitting_id = $1 ORDER BY item

-- history_of(sitting_id) -> any number of rows
-- Every accepted change in the order it was accepted.
SELECT item, seq, value, saved_ms FROM response_history WHERE sitting_id = $1 ORDER BY generation, position, seq
