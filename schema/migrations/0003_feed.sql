-- migrate:up

-- The last number given out in the feed of results. A row and not a sequence: a transaction that fails gives its
-- numbers back, so the feed has no gaps; the row's lock makes numbers visible in their order.
CREATE TABLE feed (
    is_only boolean PRIMARY KEY DEFAULT true CONSTRAINT feed_is_one CHECK (is_only),
    last_publication bigint NOT NULL
);
INSERT INTO feed (last_publication) SELECT coalesce(max(publication), 0) FROM result;
DROP SEQUENCE publication;

-- In the order in which graders take them, so that the next chunk is found without sorting what is left.
DROP INDEX sitting_to_grade;
CREATE INDEX sitting_to_grade ON sitting (batch_id, sitting_id)
    WHERE NOT is_graded AND state IN ('submitted', 'collected', 'absent', 'void');

-- migrate:down
DROP INDEX sitting_to_grade;
CREATE INDEX sitting_to_grade ON sitting (batch_id) WHERE NOT is_graded AND state IN ('submitted', 'collected', 'absent', 'void');
CREATE SEQUENCE publication;
SELECT setval('publication', last_publication + 1, false) FROM feed;
DROP TABLE feed;
