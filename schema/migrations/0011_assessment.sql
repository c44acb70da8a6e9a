-- migrate:up

-- What waits for assessors. The id is drawn by lot: it tells nothing about whose response it is.
CREATE TABLE assessment_task (
    task_id text PRIMARY KEY,
    batch_id text NOT NULL,
    sitting_id text NOT NULL,
    item text NOT NULL, -- empty: the whole sitting
    points numeric NOT NULL,
    missing smallint NOT NULL CONSTRAINT missing_assessors_are_counted CHECK (missing >= 0),
    CONSTRAINT task_is_made_once UNIQUE (sitting_id, item)
);
CREATE INDEX assessment_task_by_batch ON assessment_task (batch_id) WHERE missing > 0;

-- One mark by one assessor; append-only, an assessor's newest holds.
CREATE TABLE assessment_mark (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id text NOT NULL CONSTRAINT mark_has_a_task REFERENCES assessment_task,
    assessor text NOT NULL,
    mark numeric NOT NULL CONSTRAINT mark_is_not_negative CHECK (mark >= 0),
    comment text,
    marked_ms bigint NOT NULL,
    key_id text NOT NULL -- the API key of the call
);
CREATE INDEX assessment_mark_by_task ON assessment_mark (task_id, assessor);

-- Notes for the grader: sittings for which no assessor seems to be missing.
CREATE TABLE assessment_due (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    sitting_id text NOT NULL
);

-- Results that have been waiting since before there were tasks.
INSERT INTO assessment_task
SELECT replace(gen_random_uuid()::text, '-', ''), result.batch_id, result.sitting_id, item.key, (item.value ->> 'points')::numeric, 1
FROM result, json_each(result.marks::json) AS item
WHERE result.state = 'pending_assessor' AND item.value ->> 'mark' IS NULL;

-- The worker hands tasks out and takes marks; the grader makes the tasks and the results.
GRANT SELECT, UPDATE (missing) ON assessment_task TO liankao_engine;
GRANT SELECT, INSERT ON assessment_mark TO liankao_engine;
GRANT INSERT ON assessment_due TO liankao_engine;
GRANT SELECT, INSERT, UPDATE (missing) ON assessment_task TO liankao_grader;
GRANT SELECT ON assessment_mark TO liankao_grader;
GRANT SELECT, UPDATE, DELETE ON assessment_due TO liankao_grader;
GRANT SELECT (sitting_id, revision, state) ON result TO liankao_grader;

-- migrate:down
REVOKE SELECT (sitting_id, revision, state) ON result FROM liankao_grader;
DROP TABLE assessment_due;
DROP TABLE assessment_mark;
DROP TABLE assessment_task;
