-- migrate:up

-- When a batch's arming was last undone: this names its sittings and its prepared papers from then on.
ALTER TABLE batch ADD disarmed_ms bigint;

-- Armings that were undone, and whether Redis holds anything of them.
CREATE TABLE disarming (
    batch_id text NOT NULL,
    disarmed_ms bigint NOT NULL,
    armed_ids text[] NOT NULL, -- under which Redis knew its papers
    sealed_digests text[] NOT NULL,
    is_withdrawn boolean NOT NULL DEFAULT false,
    CONSTRAINT arming_is_undone_once PRIMARY KEY (batch_id, disarmed_ms)
);
CREATE INDEX disarming_to_withdraw ON disarming (batch_id) WHERE NOT is_withdrawn;

-- The sittings that such an arming had: their ids lead nowhere any more, but records of photos and logins name them.
CREATE TABLE withdrawn_sitting (
    sitting_id text PRIMARY KEY,
    batch_id text NOT NULL,
    disarmed_ms bigint NOT NULL,
    partition smallint NOT NULL,
    candidate_id text NOT NULL,
    CONSTRAINT sitting_was_withdrawn_by_a_disarming FOREIGN KEY (batch_id, disarmed_ms) REFERENCES disarming
);
CREATE INDEX withdrawn_sitting_by_disarming ON withdrawn_sitting (batch_id, disarmed_ms);

GRANT SELECT, UPDATE (is_withdrawn) ON disarming TO liankao_engine, liankao_recorder;
GRANT SELECT ON withdrawn_sitting TO liankao_engine, liankao_recorder;

-- Destroying a seal needs the tables' owner; a worker may ask for exactly this, and only before the start.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
CREATE FUNCTION undo_arming(
    of_batch text, at_ms bigint, known_as text[], old_ids text[], new_ids text[], new_partitions smallint[]
) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    digests text[];
BEGIN
    PERFORM FROM batch
    WHERE batch_id = of_batch AND armed_ms IS NOT NULL AND starts_ms > extract(epoch FROM clock_timestamp()) * 1000
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'batch % is not armed, or has started', of_batch;
    END IF;
    WITH gone AS (DELETE FROM seal WHERE batch_id = of_batch RETURNING sealed_digest)
    SELECT coalesce(array_agg(sealed_digest ORDER BY sealed_digest), '{}') INTO digests FROM gone;
    INSERT INTO disarming (batch_id, disarmed_ms, armed_ids, sealed_digests) VALUES (of_batch, at_ms, known_as, digests);
    INSERT INTO withdrawn_sitting (sitting_id, batch_id, disarmed_ms, partition, candidate_id)
    SELECT sitting_id, batch_id, at_ms, partition, candidate_id FROM sitting WHERE batch_id = of_batch;
    UPDATE sitting SET sitting_id = renamed.new_id, partition = renamed.new_partition,
        state = 'expected', epoch = 0, entered_ms = NULL, closed_ms = NULL
    FROM unnest(old_ids, new_ids, new_partitions) AS renamed (old_id, new_id, new_partition)
    WHERE sitting.sitting_id = renamed.old_id AND sitting.batch_id = of_batch;
    IF EXISTS (SELECT FROM sitting JOIN withdrawn_sitting USING (sitting_id) WHERE sitting.batch_id = of_batch) THEN
        RAISE EXCEPTION 'batch %: every sitting needs another id', of_batch;
    END IF;
    UPDATE batch SET armed_ms = NULL, witnesses = '{}', laid_ready = false, disarmed_ms = at_ms WHERE batch_id = of_batch;
    RETURN digests;
END
$$;
REVOKE ALL ON FUNCTION undo_arming FROM PUBLIC;
GRANT EXECUTE ON FUNCTION undo_arming TO liankao_engine;

-- migrate:down
DROP FUNCTION undo_arming;
DROP TABLE withdrawn_sitting;
DROP TABLE disarming;
ALTER TABLE batch DROP disarmed_ms;
