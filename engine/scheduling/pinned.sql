-- armed_batch_of(paper_id) -> at most one row
-- A batch whose arming has pinned this paper.
SELECT batch_id FROM batch WHERE (paper_id = $1 OR $1 = ANY (papers)) AND armed_ms IS NOT NULL ORDER BY batch_id LIMIT 1

-- put_answer_key(paper_digest, recipient, envelope) -> none
-- Put in and never looked at: which row stands in the way, if one does, this process may not even ask.
INSERT INTO answer_key (paper_digest, recipient, envelope) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
