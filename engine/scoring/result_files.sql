-- page_of_batch(batch_id, after, until, rows_max) -> up to rows_max rows
-- Results of one batch as they stood at publication `until`: the newest revision of each, in publication order.
SELECT result.publication, result.document
FROM result
WHERE result.batch_id = $1 AND result.publication > $2 AND result.publication <= $3
  AND NOT EXISTS (SELECT 1 FROM result AS newer WHERE newer.sitting_id = result.sitting_id
                  AND newer.revision > result.revision AND newer.publication <= $3)
ORDER BY result.publication
LIMIT $4

-- last_publication(batch_id) -> one row
-- Of a batch; whatever is published later has a higher number.
SELECT coalesce(max(publication), 0) FROM result WHERE batch_id = $1

-- one_of_each_paper(batch_id, until) -> any number of rows
-- Whose sections make the columns; the digest is cut out of what are our own bytes, not parsed out of 100,000 documents.
SELECT document FROM result WHERE publication IN (
    SELECT max(publication) FROM result
    WHERE batch_id = $1 AND publication <= $2 AND state IN ('graded', 'pending_assessor')
    GROUP BY substr(document, strpos(document, '"paper_digest":"'), 80)
)
ORDER BY publication
