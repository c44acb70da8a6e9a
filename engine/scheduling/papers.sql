-- find_paper(paper_id) -> at most one row
-- What the scheduling system may see of a paper: never its content.
SELECT paper_id, digest, items, points FROM paper WHERE paper_id = $1

-- lock_paper(paper_id) -> at most one row
-- Its digest and to whom its answers are sealed, held against another push until the transaction ends.
SELECT digest, answer_key_recipient, content IS NOT NULL AS has_content FROM paper WHERE paper_id = $1 FOR UPDATE

-- put_paper(paper_id, digest, items, points, content, item_index, answer_key_digest, answer_key_recipient, pushed_ms, content_key_wrapped) -> none
-- A new paper, or the new version of one that no armed batch uses.
INSERT INTO paper (paper_id, digest, items, points, content, item_index, answer_key_digest, answer_key_recipient, pushed_ms, content_key_wrapped)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (paper_id) DO UPDATE SET
    digest = excluded.digest, items = excluded.items, points = excluded.points, content = excluded.content,
    item_index = excluded.item_index, answer_key_digest = excluded.answer_key_digest,
    answer_key_recipient = excluded.answer_key_recipient, pushed_ms = excluded.pushed_ms,
    content_key_wrapped = excluded.content_key_wrapped
