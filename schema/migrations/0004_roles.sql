-- migrate:up

-- Answer keys lie apart, so that a role may put them in without being able to look at them.
CREATE TABLE answer_key (
    paper_digest text NOT NULL,
    recipient text NOT NULL,
    envelope bytea NOT NULL,
    PRIMARY KEY (paper_digest, recipient)
);
INSERT INTO answer_key
SELECT DISTINCT ON (seal.paper_digest, paper.answer_key_recipient)
    seal.paper_digest, paper.answer_key_recipient, seal.answer_key_envelope
FROM seal JOIN batch USING (batch_id) JOIN paper USING (paper_id)
ORDER BY seal.paper_digest, paper.answer_key_recipient, seal.batch_id;
INSERT INTO answer_key SELECT DISTINCT ON (digest, answer_key_recipient) digest, answer_key_recipient, answer_key_envelope
FROM paper ORDER BY digest, answer_key_recipient, paper_id
ON CONFLICT DO NOTHING;

ALTER TABLE seal ADD answer_key_recipient text;
UPDATE seal SET answer_key_recipient = paper.answer_key_recipient
FROM batch JOIN paper USING (paper_id) WHERE batch.batch_id = seal.batch_id;
ALTER TABLE seal
    ALTER answer_key_recipient SET NOT NULL,
    DROP answer_key_envelope,
    ADD CONSTRAINT seal_has_an_answer_key FOREIGN KEY (paper_digest, answer_key_recipient) REFERENCES answer_key;

-- Only sealed content is kept. What lay here could be read: it goes, and such a paper is pushed again before it is armed.
-- The change of type writes the table anew, so that no file holds the old rows.
ALTER TABLE paper
    DROP title,
    DROP answer_key_envelope,
    ALTER content DROP NOT NULL,
    ALTER content TYPE bytea USING NULL::bytea,
    ADD content_key_wrapped bytea,
    ADD CONSTRAINT content_has_its_key CHECK ((content IS NULL) = (content_key_wrapped IS NULL));

-- Roles belong to the whole server: another database may have made them, or be making them at this moment.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{liankao_engine,liankao_recorder,liankao_grader}'::text[] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I LOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
    END LOOP;
END
$$;

-- The worker. Never answer keys; of results only their release; of sittings only the roster.
GRANT SELECT ON schema_migrations TO liankao_engine;
GRANT SELECT (scope, digest, revoked_ms) ON api_key TO liankao_engine;
GRANT SELECT, INSERT, UPDATE ON public_key, paper, batch TO liankao_engine;
GRANT INSERT ON answer_key TO liankao_engine;
GRANT SELECT, INSERT ON seal TO liankao_engine;
GRANT SELECT, DELETE,
    INSERT (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room, seat, extra_time_s),
    UPDATE (name, id_number, admission_ticket, site, room, seat, extra_time_s)
    ON sitting TO liankao_engine;
GRANT SELECT (sitting_id, item, seq, value) ON response TO liankao_engine;
GRANT SELECT ON response_history TO liankao_engine;
GRANT SELECT (saved_ms) ON response_history_default TO liankao_engine;
GRANT SELECT (at_ms) ON sitting_event_default TO liankao_engine;
GRANT SELECT ON recording, recorder TO liankao_engine;
GRANT SELECT, UPDATE (publication) ON result TO liankao_engine;
GRANT SELECT, UPDATE (last_publication) ON feed TO liankao_engine;

-- The recorder. Never papers, answer keys or results; of a seal what Redis is rebuilt from.
GRANT SELECT ON batch TO liankao_recorder;
GRANT UPDATE (laid_ready) ON batch TO liankao_recorder;
GRANT SELECT (batch_id, sealed_digest, sealed, paper_key_wrapped, item_index) ON seal TO liankao_recorder;
GRANT SELECT, UPDATE (state, epoch, entered_ms, closed_ms) ON sitting TO liankao_recorder;
GRANT SELECT, INSERT, UPDATE ON response TO liankao_recorder;
GRANT INSERT ON response_history TO liankao_recorder;
GRANT SELECT, INSERT ON sitting_event TO liankao_recorder;
GRANT SELECT (saved_ms) ON response_history_default TO liankao_recorder;
GRANT SELECT (at_ms) ON sitting_event_default TO liankao_recorder;
GRANT SELECT, INSERT, UPDATE ON recording TO liankao_recorder;
GRANT SELECT, INSERT, UPDATE, DELETE ON recorder TO liankao_recorder;
GRANT SELECT, UPDATE (last_publication) ON feed TO liankao_recorder;

-- The grader. Never papers, paper keys or who a candidate is; the right to change a batch is only there to hold its row.
GRANT SELECT, INSERT, UPDATE ON public_key TO liankao_grader;
GRANT SELECT (batch_id, rules, released_ms), UPDATE (laid_ready) ON batch TO liankao_grader;
GRANT SELECT (batch_id, paper_digest, answer_key_digest, answer_key_recipient) ON seal TO liankao_grader;
GRANT SELECT ON answer_key TO liankao_grader;
GRANT SELECT (sitting_id, batch_id, candidate_id, admission_ticket, state, is_graded), UPDATE (is_graded)
    ON sitting TO liankao_grader;
GRANT SELECT (sitting_id, item, value) ON response TO liankao_grader;
GRANT INSERT ON result TO liankao_grader;
GRANT SELECT, UPDATE (last_publication) ON feed TO liankao_grader;

-- Whoever may say to whom answers are sealed could have them sealed to himself: each says its own keys only.
ALTER TABLE public_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY public_keys_are_public ON public_key FOR SELECT USING (true);
CREATE POLICY worker_adds_its_own ON public_key FOR INSERT TO liankao_engine WITH CHECK (purpose = 'receipt');
CREATE POLICY worker_renews_its_own ON public_key FOR UPDATE TO liankao_engine USING (purpose = 'receipt');
CREATE POLICY grader_adds_its_own ON public_key FOR INSERT TO liankao_grader
    WITH CHECK (purpose IN ('result', 'answer_key'));
CREATE POLICY grader_renews_its_own ON public_key FOR UPDATE TO liankao_grader
    USING (purpose IN ('result', 'answer_key'));

-- Making a month needs the tables' owner; a recorder may ask for exactly that and nothing else of an owner's.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
CREATE FUNCTION make_month(parent text, first_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    moment text;
    first_day timestamptz := date_trunc('month', to_timestamp(first_ms / 1000), 'UTC');
    until_ms bigint := extract(epoch FROM (first_day AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC') * 1000;
    month text := parent || to_char(first_day AT TIME ZONE 'UTC', '_YYYY_MM');
BEGIN
    moment := CASE parent WHEN 'response_history' THEN 'saved_ms' WHEN 'sitting_event' THEN 'at_ms' END;
    IF moment IS NULL OR first_ms <> extract(epoch FROM first_day) * 1000 THEN
        RAISE EXCEPTION 'no month of % begins at % ms', parent, first_ms;
    END IF;
    -- Built beside the table, filled with what had to lie in the default partition, and attached: recording goes on.
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', month, parent);
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE %I >= %s AND %I < %s RETURNING *) INSERT INTO %I SELECT * FROM moved',
        parent || '_default', moment, first_ms, moment, until_ms, month);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, month, first_ms, until_ms);
END
$$;
REVOKE ALL ON FUNCTION make_month FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_month TO liankao_recorder;

-- migrate:down
-- Roles stay: other databases of the server may use them. Papers have to be pushed again.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{liankao_engine,liankao_recorder,liankao_grader}'::text[] LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', current_schema(), name);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), name);
    END LOOP;
END
$$;
DROP FUNCTION make_month;
DROP POLICY public_keys_are_public ON public_key;
DROP POLICY worker_adds_its_own ON public_key;
DROP POLICY worker_renews_its_own ON public_key;
DROP POLICY grader_adds_its_own ON public_key;
DROP POLICY grader_renews_its_own ON public_key;
ALTER TABLE public_key DISABLE ROW LEVEL SECURITY;
ALTER TABLE seal DROP CONSTRAINT seal_has_an_answer_key, ADD answer_key_envelope bytea NOT NULL DEFAULT '';
UPDATE seal SET answer_key_envelope = answer_key.envelope FROM answer_key
WHERE answer_key.paper_digest = seal.paper_digest AND answer_key.recipient = seal.answer_key_recipient;
ALTER TABLE seal ALTER answer_key_envelope DROP DEFAULT, DROP answer_key_recipient;
ALTER TABLE paper
    DROP CONSTRAINT content_has_its_key,
    DROP content_key_wrapped,
    ALTER content TYPE bytea USING ''::bytea,
    ALTER content SET NOT NULL,
    ADD title text NOT NULL DEFAULT '',
    ADD answer_key_envelope bytea NOT NULL DEFAULT '';
UPDATE paper SET answer_key_envelope = answer_key.envelope FROM answer_key
WHERE answer_key.paper_digest = paper.digest AND answer_key.recipient = paper.answer_key_recipient;
ALTER TABLE paper ALTER title DROP DEFAULT, ALTER answer_key_envelope DROP DEFAULT;
DROP TABLE answer_key;
