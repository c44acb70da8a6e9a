-- migrate:up

-- Each index is one more place to write for every candidate of a roster. Nobody looks sittings up by partition alone, and
-- one that begins with the person serves both who looks people up and the promise that nobody sits twice in a batch.
DROP INDEX sitting_by_partition;
ALTER TABLE sitting
    DROP CONSTRAINT person_sits_once_in_a_batch,
    ADD CONSTRAINT person_sits_once_in_a_batch UNIQUE (id_number, batch_id) DEFERRABLE INITIALLY DEFERRED;
DROP INDEX sitting_by_person;

-- migrate:down
CREATE INDEX sitting_by_person ON sitting (id_number);
ALTER TABLE sitting
    DROP CONSTRAINT person_sits_once_in_a_batch,
    ADD CONSTRAINT person_sits_once_in_a_batch UNIQUE (batch_id, id_number) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX sitting_by_partition ON sitting (partition);
