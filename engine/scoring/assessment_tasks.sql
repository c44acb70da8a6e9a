-- insert_tasks(task_ids, batch_ids, sitting_ids, items, points, missing) -> none
-- What waits for assessors; a sitting's task is made once.
INSERT INTO assessment_task (task_id, batch_id, sitting_id, item, points, missing)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::smallint[])

-- lock_tasks(sitting_ids) -> any number of rows
-- All tasks of these sittings, held: whoever marks one of them waits, or was waited for.
SELECT task_id, sitting_id, item, points FROM assessment_task
WHERE sitting_id = ANY ($1::text[]) ORDER BY task_id FOR UPDATE

-- marks_of(task_ids) -> any number of rows
-- Every mark of these tasks, in the order in which they came: an assessor's last holds.
SELECT task_id, assessor, mark FROM assessment_mark WHERE task_id = ANY ($1::text[]) ORDER BY number
