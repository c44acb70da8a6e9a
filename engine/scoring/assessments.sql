-- find_rules(batch_id) -> at most one row
-- A batch's rules, or none: there is no such batch.
SELECT rules FROM batch WHERE batch_id = $1

-- page_of_tasks(batch_id, assessor, after, rows_max, item) -> up to rows_max rows
-- What still needs an assessor and has no mark of this one, in an order that is this assessor's own.
SELECT task.task_id, task.sitting_id, task.item, task.points, task.place, response.value,
    -- In a batch with several papers an id may name another item in each.
    batch.papers[sitting.form + 1] AS paper_id
FROM (
    SELECT *, md5($2 || task_id) AS place FROM assessment_task WHERE batch_id = $1 AND missing > 0
) AS task
JOIN sitting ON sitting.sitting_id = task.sitting_id
JOIN batch ON batch.batch_id = task.batch_id
LEFT JOIN response ON response.sitting_id = task.sitting_id AND response.item = task.item
WHERE task.place > $3 AND task.item = coalesce($5, task.item)
  AND NOT EXISTS (SELECT FROM assessment_mark AS mark WHERE mark.task_id = task.task_id AND mark.assessor = $2)
ORDER BY task.place
LIMIT $4

-- responses_of(sitting_ids) -> one row per sitting with responses
-- All that was answered, where the task is the whole sitting.
SELECT sitting_id, array_agg(item ORDER BY item) AS items, array_agg(value ORDER BY item) AS texts
FROM response WHERE sitting_id = ANY ($1::text[]) GROUP BY sitting_id

-- lock_tasks(batch_id, task_ids) -> any number of rows
-- These tasks and the others of their sittings, held until the marks are in.
SELECT task_id, sitting_id, points, missing FROM assessment_task
WHERE sitting_id IN (SELECT sitting_id FROM assessment_task WHERE batch_id = $1 AND task_id = ANY ($2::text[]))
ORDER BY task_id
FOR UPDATE

-- final_sittings(sitting_ids) -> any number of rows
-- Those whose newest result waits for no assessor any more; a regrade may have one wait again.
SELECT sitting_id FROM (
    SELECT DISTINCT ON (sitting_id) sitting_id, state FROM result
    WHERE sitting_id = ANY ($1::text[]) ORDER BY sitting_id, revision DESC
) AS newest WHERE state <> 'pending_assessor'

-- marks_of(task_ids) -> any number of rows
-- Every mark of these tasks, in the order in which they came: an assessor's last holds.
SELECT task_id, assessor, mark, comment FROM assessment_mark WHERE task_id = ANY ($1::text[]) ORDER BY number

-- insert_marks(task_ids, assessor, marks, comments, marked_ms, key_id) -> none
-- One assessor's marks; what was there before stays.
INSERT INTO assessment_mark (task_id, assessor, mark, comment, marked_ms, key_id)
SELECT task_id, $2, mark, comment, $5, $6
FROM unnest($1::text[], $3::numeric[], $4::text[]) WITH ORDINALITY AS new (task_id, mark, comment, turn) ORDER BY turn

-- set_missing(task_ids, missing) -> none
-- How many assessors these tasks have yet to be marked by.
UPDATE assessment_task SET missing = new.missing
FROM unnest($1::text[], $2::smallint[]) AS new (task_id, missing)
WHERE assessment_task.task_id = new.task_id

-- insert_due(batch_id, sitting_ids) -> none
-- A note for the grader: nobody is missing for these sittings.
INSERT INTO assessment_due (batch_id, sitting_id) SELECT $1, unnest($2::text[])
