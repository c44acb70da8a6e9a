-- find_paper(paper_id) -> at most one row
-- What the scheduling system may see of a paper: never its content.
SELECT paper_id, digest, title, items, points FROM paper WHERE paper_id = $1

-- lock_paper(paper_id) -> at most one row
-- Its digest and to whom its answers are sealed, held against another push until the transaction ends.
SELECT digest, answer_key_recipient FROM paper WHERE paper_id = $1 FOR UPDATE

-- armed_batch_of(paper_id) -> at most one row
-- A batch whose arming has pinned this paper.
SELECT batch_id FROM batch WHERE paper_id = $1 AND armed_ms IS NOT NULL ORDER BY batch_id LIMIT 1

-- put_paper(paper_id, digest, title, items, points, content, item_index, answer_key_digest, answer_key_envelope, answer_key_recipient, pushed_ms) -> none
-- A new paper, or the new version of one that no armed batch uses.
INSERT INTO paper (paper_id, digest, title, items, points, content, item_index, answer_key_digest, answer_key_envelope, answer_key_recipient, pushed_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (paper_id) DO UPDATE SET
    digest = excluded.digest, title = excluded.title, items = excluded.items, points = excluded.points,
    content = excluded.content, item_index = excluded.item_index, answer_key_digest = excluded.answer_key_digest,
    answer_key_envelope = excluded.answer_key_envelope, answer_key_recipient = excluded.answer_key_recipient,
    pushed_ms = excluded.pushed_ms
