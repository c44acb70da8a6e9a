-- The final state of all migrations, for reading; nothing runs this file but the test that compares the two.

-- Machine clients. The key itself is never stored: only its SHA-256.
CREATE TABLE api_key (
    key_id text PRIMARY KEY,
    scope text NOT NULL CONSTRAINT api_key_scope_is_known CHECK (scope IN ('schedule', 'results', 'proctor', 'ops')),
    label text NOT NULL,
    digest bytea NOT NULL CONSTRAINT api_key_digest_is_unique UNIQUE,
    created_ms bigint NOT NULL,
    revoked_ms bigint
);

-- Public halves of the engine's own keys, registered by the process that holds the private half.
CREATE TABLE public_key (
    key_id text PRIMARY KEY,
    purpose text NOT NULL CONSTRAINT public_key_purpose_is_known CHECK (purpose IN ('receipt', 'result', 'answer_key', 'archive')),
    algorithm text NOT NULL,
    public_key bytea NOT NULL,
    registered_ms bigint NOT NULL
);

-- Question sets. `content` is what candidates may see after the start, sealed as it arrived; null in a paper that came
-- before papers were sealed, and has to be pushed again.
CREATE TABLE paper (
    paper_id text PRIMARY KEY,
    digest text NOT NULL,
    items integer NOT NULL,
    points numeric NOT NULL CONSTRAINT paper_has_points CHECK (points > 0),
    content bytea,
    item_index bytea NOT NULL,
    answer_key_digest text NOT NULL,
    answer_key_recipient text NOT NULL, -- key_id of the grader's public key they are sealed to
    pushed_ms bigint NOT NULL,
    content_key_wrapped bytea, -- by the key provider
    CONSTRAINT content_has_its_key CHECK ((content IS NULL) = (content_key_wrapped IS NULL))
);

-- Answers, sealed to a grader's public key: put in by a worker, read by the grader alone.
CREATE TABLE answer_key (
    paper_digest text NOT NULL,
    recipient text NOT NULL,
    envelope bytea NOT NULL,
    PRIMARY KEY (paper_digest, recipient)
);

-- Papers that came sealed for one batch; their keys come with the shares, at arming.
CREATE TABLE package (
    paper_id text PRIMARY KEY REFERENCES paper,
    batch_id text NOT NULL,
    sealed_digest text NOT NULL,
    sealed bytea NOT NULL,
    key_check text NOT NULL, -- tells the right paper key, and nothing about it
    signed_by text NOT NULL -- key_id of the author
);

CREATE TABLE batch (
    batch_id text PRIMARY KEY,
    title text NOT NULL,
    occupation text NOT NULL,
    level smallint NOT NULL,
    subject text NOT NULL,
    kind text NOT NULL,
    paper_id text CONSTRAINT batch_has_a_paper REFERENCES paper,
    admission_code text NOT NULL,
    starts_ms bigint NOT NULL,
    duration_s integer NOT NULL,
    rules jsonb NOT NULL,
    pushed_ms bigint NOT NULL,
    armed_ms bigint,
    laid_ready boolean NOT NULL DEFAULT false, -- armed, and Redis holds what candidates need of it
    witnesses text[] NOT NULL DEFAULT '{}',
    released_ms bigint,
    released_by text[] NOT NULL DEFAULT '{}',
    papers text[], -- instead of one: its forms, numbered from 0
    disarmed_ms bigint, -- when its arming was last undone: names its sittings and prepared papers from then on
    CONSTRAINT batch_has_one_paper_or_several CHECK ((paper_id IS NULL) <> (papers IS NULL)),
    CONSTRAINT batch_is_armed_before_two_witnesses CHECK (armed_ms IS NULL OR cardinality(witnesses) >= 2)
);
CREATE INDEX batch_by_start ON batch (starts_ms);

-- What arming pinned, for each form of the batch: the sealed paper, its wrapped key, and which answer key is in force.
CREATE TABLE seal (
    batch_id text NOT NULL REFERENCES batch,
    sealed_digest text NOT NULL CONSTRAINT sealed_paper_is_unique UNIQUE,
    sealed bytea NOT NULL,
    paper_key_wrapped bytea NOT NULL,
    paper_digest text NOT NULL,
    item_index bytea NOT NULL,
    answer_key_digest text NOT NULL,
    answer_key_recipient text NOT NULL,
    form smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (batch_id, form),
    CONSTRAINT seal_has_an_answer_key FOREIGN KEY (paper_digest, answer_key_recipient) REFERENCES answer_key
);

-- One candidate in one batch on one seat.
CREATE TABLE sitting (
    sitting_id text PRIMARY KEY,
    batch_id text NOT NULL REFERENCES batch,
    partition smallint NOT NULL,
    candidate_id text NOT NULL,
    name text NOT NULL,
    id_number text NOT NULL,
    admission_ticket text NOT NULL,
    site text NOT NULL,
    room text NOT NULL,
    seat text NOT NULL,
    extra_time_s integer NOT NULL,
    state text NOT NULL DEFAULT 'expected' CONSTRAINT sitting_state_is_known CHECK (state IN (
        'expected', 'checked_in', 'confirmed', 'pledged', 'in_progress', 'submitted', 'collected', 'absent', 'void')),
    epoch bigint NOT NULL DEFAULT 0,
    entered_ms bigint,
    closed_ms bigint,
    is_graded boolean NOT NULL DEFAULT false,
    form smallint NOT NULL DEFAULT 0, -- which of the batch's papers it has; given at arming, kept from the first login on
    -- What of its place the engine chose, so that pushing the same roster again does not take it away.
    assigned text NOT NULL DEFAULT '' CONSTRAINT assigned_is_known CHECK (assigned IN ('', 'seat', 'room_and_seat')),
    -- Deferred: one push may swap two tickets or seats.
    CONSTRAINT candidate_sits_once_in_a_batch UNIQUE (batch_id, candidate_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ticket_is_unique_in_a_batch UNIQUE (batch_id, admission_ticket) DEFERRABLE INITIALLY DEFERRED,
    -- Person first: by it people are looked up in all batches.
    CONSTRAINT person_sits_once_in_a_batch UNIQUE (id_number, batch_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT seat_holds_one_candidate EXCLUDE USING btree
        (batch_id WITH =, site WITH =, room WITH =, seat WITH =) WHERE (seat <> '') DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX sitting_by_room ON sitting (batch_id, site, room);
-- In the order in which graders take them, so that the next chunk is found without sorting what is left.
CREATE INDEX sitting_to_grade ON sitting (batch_id, sitting_id)
    WHERE NOT is_graded AND state IN ('submitted', 'collected', 'absent', 'void');

-- The newest response per item. No foreign key: evidence is written whatever else is amiss.
CREATE TABLE response (
    sitting_id text NOT NULL,
    item text NOT NULL,
    seq bigint NOT NULL,
    value text NOT NULL, -- RFC 8785 JSON, exactly the bytes the receipt's digest covers
    saved_ms bigint NOT NULL,
    PRIMARY KEY (sitting_id, item)
);

-- Every accepted change, append-only: the evidence for score reviews. By month (UTC), made ahead by a recorder.
CREATE TABLE response_history (
    sitting_id text NOT NULL,
    item text NOT NULL,
    seq bigint NOT NULL,
    value text NOT NULL,
    saved_ms bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL
) PARTITION BY RANGE (saved_ms);
CREATE INDEX response_history_by_sitting ON response_history (sitting_id);
CREATE TABLE response_history_default PARTITION OF response_history DEFAULT;

-- Logins, confirmations, pledges, hand-ins, collections: append-only, by month as well.
CREATE TABLE sitting_event (
    sitting_id text NOT NULL,
    kind text NOT NULL,
    at_ms bigint NOT NULL,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL
) PARTITION BY RANGE (at_ms);
CREATE INDEX sitting_event_by_sitting ON sitting_event (sitting_id);
CREATE TABLE sitting_event_default PARTITION OF sitting_event DEFAULT;

-- What happened in a room beside the answers: a candidate's page left and looked at again, acts of proctors. Append-only.
CREATE TABLE room_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they became visible, per batch
    batch_id text NOT NULL,
    sitting_id text NOT NULL,
    event_id text NOT NULL, -- the page's own, so that sending it again records nothing twice
    kind text NOT NULL,
    at_ms bigint NOT NULL, -- when it happened, as the page tells it by the server's time
    recorded_ms bigint NOT NULL,
    away_ms bigint, -- of a return: how long the page had been left
    proctor text, -- of an act: who, why, and with which API key
    reason text,
    key_id text,
    CONSTRAINT room_event_is_recorded_once UNIQUE (sitting_id, event_id)
);
CREATE INDEX room_event_by_batch ON room_event (batch_id, number);

-- Pictures of candidates taken before the paper, every one that arrived: what was taken again replaces nothing here.
CREATE TABLE photo (
    sitting_id text NOT NULL,
    number smallint NOT NULL CONSTRAINT photos_of_a_sitting_are_few CHECK (number BETWEEN 1 AND 8),
    batch_id text NOT NULL,
    digest text NOT NULL,
    jpeg bytea NOT NULL CONSTRAINT photo_is_small CHECK (octet_length(jpeg) BETWEEN 1 AND 40960),
    taken_ms bigint NOT NULL,
    PRIMARY KEY (sitting_id, number),
    CONSTRAINT photo_is_stored_once UNIQUE (sitting_id, digest)
);
ALTER TABLE photo ALTER jpeg SET STORAGE EXTERNAL; -- it is compressed already
CREATE INDEX photo_by_time ON photo (taken_ms);

-- What proctors said of them, and who was let in without one; append-only, the newest of a photo holds.
CREATE TABLE photo_act (
    act_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sitting_id text NOT NULL,
    photo_number smallint NOT NULL, -- what the proctor looked at; 0 where there was none
    act text NOT NULL CONSTRAINT photo_act_is_known CHECK (act IN ('accepted', 'refused', 'waived')),
    proctor text NOT NULL,
    reason text,
    acted_ms bigint NOT NULL,
    CONSTRAINT act_has_a_photo_or_is_a_waiver CHECK (photo_number > 0 OR act = 'waived')
);
CREATE INDEX photo_act_by_sitting ON photo_act (sitting_id, act_number);
-- The newest check of each machine in each device check.
CREATE TABLE device_check (
    site text NOT NULL,
    room text NOT NULL,
    seat text NOT NULL, -- of the roster, or 管理机: the room's management machine
    batch_id text NOT NULL,
    checked_ms bigint NOT NULL,
    checks integer NOT NULL DEFAULT 1, -- how often it was checked
    verdict text NOT NULL CONSTRAINT device_verdict_is_known CHECK (verdict IN ('ok', 'weak', 'fail')),
    measured jsonb NOT NULL, -- as the page sent it
    findings jsonb NOT NULL, -- as it was judged when it came
    CONSTRAINT machine_is_kept_once_per_batch PRIMARY KEY (site, room, seat, batch_id)
);

-- What was done to a batch, by whom: append-only.
CREATE TABLE batch_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    kind text NOT NULL,
    at_ms bigint NOT NULL,
    people text[] NOT NULL, -- named in the call; empty where it names nobody
    key_id text, -- the API key of the call
    before jsonb, -- what the event changed, as it was and as it is
    after jsonb
);
CREATE INDEX batch_event_by_batch ON batch_event (batch_id, number);

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

-- Where exams are sat: what rosters name in words, as a resource of its own. Nothing refers to it.
CREATE TABLE site (
    site_id text PRIMARY KEY,
    name text NOT NULL CONSTRAINT site_name_is_unique UNIQUE, -- as rosters write it
    address text NOT NULL,
    tier integer, -- candidates at once that its line is built for; null: not known
    pushed_ms bigint NOT NULL
);
CREATE TABLE room (
    site_id text NOT NULL REFERENCES site ON DELETE CASCADE,
    number smallint NOT NULL, -- its place in the site: rooms are filled in this order
    name text NOT NULL, -- as rosters write it
    machines integer NOT NULL CONSTRAINT room_has_machines CHECK (machines > 0), -- seats 01 to NN
    spares integer NOT NULL CONSTRAINT spares_are_counted CHECK (spares >= 0), -- 备用1, 备用2 …, on top of these
    layout_rows integer,
    layout_columns integer,
    numbering text,
    CONSTRAINT layout_has_room_for_all_machines CHECK (layout_rows * layout_columns >= machines),
    CONSTRAINT layout_is_whole CHECK (num_nulls(layout_rows, layout_columns, numbering) IN (0, 3)),
    PRIMARY KEY (site_id, name)
);

-- What was archived of a batch; only the owner writes here, and no process reads it.
CREATE TABLE archive (
    batch_id text NOT NULL REFERENCES batch,
    digest text NOT NULL, -- of the content (schema/archive.md), however it is compressed and whoever signed it
    bytes bigint NOT NULL, -- of the file
    key_id text NOT NULL,
    made_ms bigint NOT NULL,
    PRIMARY KEY (batch_id, digest)
);

-- Batches that were erased when their time had come: what is left of them.
CREATE TABLE purge (
    batch_id text NOT NULL,
    purged_ms bigint NOT NULL,
    record text NOT NULL, -- signed JSON: how many rows of which table went, and the content of the archive that has them
    PRIMARY KEY (batch_id, purged_ms)
);

-- Batches of which something is being erased, or the answers are erased already.
CREATE TABLE erasing (
    batch_id text PRIMARY KEY REFERENCES batch,
    archive_digest text NOT NULL, -- the content of the archive that holds what goes
    closed_ms bigint NOT NULL, -- when the batch closed: its years count from there
    kind text CONSTRAINT erased_kind_is_known CHECK (kind IN ('answers', 'records')), -- under way; null: nothing is
    rows jsonb NOT NULL DEFAULT '{}', -- how many of which table went so far
    answers_erased_ms bigint -- when the answers were gone
);

-- How far each partition's log is recorded, and which recorder may advance it.
CREATE TABLE recording (
    partition smallint PRIMARY KEY,
    generation bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    leased_by text NOT NULL DEFAULT '',
    built bigint NOT NULL DEFAULT 0
);

-- Recorders that live, or lived: whoever is late with saying so loses its partitions.
CREATE TABLE recorder (
    owner text PRIMARY KEY,
    alive_until timestamptz NOT NULL
);

-- One row per sitting and revision; the primary key is what makes grading happen once.
CREATE TABLE result (
    sitting_id text NOT NULL REFERENCES sitting,
    revision integer NOT NULL,
    batch_id text NOT NULL REFERENCES batch,
    state text NOT NULL CONSTRAINT result_state_is_known CHECK (state IN ('graded', 'pending_assessor', 'absent', 'void')),
    document text NOT NULL, -- the signed JSON, byte for byte as it is served
    marks text NOT NULL, -- {item: {mark, points}}
    graded_ms bigint NOT NULL,
    publication bigint CONSTRAINT publication_is_a_total_order UNIQUE, -- null until released
    PRIMARY KEY (sitting_id, revision)
);
CREATE INDEX result_by_batch ON result (batch_id, publication);

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

-- Score reviews: a candidate's published result looked at once more by the grader, then answered by a person.
CREATE TABLE score_review (
    sitting_id text NOT NULL,
    revision integer NOT NULL, -- of the result that is reviewed
    number bigint GENERATED ALWAYS AS IDENTITY, -- in the order in which they became visible, per batch
    batch_id text NOT NULL REFERENCES batch,
    state text NOT NULL DEFAULT 'filed' CONSTRAINT score_review_state_is_known CHECK (state IN ('filed', 'checked', 'answered')),
    requested_by text NOT NULL,
    requested_ms bigint NOT NULL,
    due_ms bigint NOT NULL, -- until when it is to be answered
    grounds text[] NOT NULL,
    words text NOT NULL, -- the candidate's own
    receipt text NOT NULL, -- as it was shown, RFC 8785; empty without one
    key_id text NOT NULL, -- the API key of the call
    checked_ms bigint,
    findings jsonb, -- [{check, ok, detail, detail_zh}]
    answered_by text,
    answer text,
    answered_ms bigint,
    PRIMARY KEY (sitting_id, revision),
    CONSTRAINT score_review_is_of_a_result FOREIGN KEY (sitting_id, revision) REFERENCES result,
    CONSTRAINT score_review_is_checked_before_it_is_answered CHECK (
        (state <> 'filed') = (checked_ms IS NOT NULL) AND (checked_ms IS NULL) = (findings IS NULL)
        AND (state = 'answered') = (answered_ms IS NOT NULL)
        AND (answered_ms IS NULL) = (answer IS NULL) AND (answer IS NULL) = (answered_by IS NULL))
);
CREATE INDEX score_review_by_batch ON score_review (batch_id, number);
CREATE INDEX score_review_to_check ON score_review (number) WHERE state = 'filed';

-- Regrades: a changed answer key, tried over the closed sittings of a batch, then applied or dropped by two people.
CREATE TABLE regrade (
    regrade_id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY, -- in the order in which they were proposed
    batch_id text NOT NULL REFERENCES batch,
    state text NOT NULL DEFAULT 'proposed' CONSTRAINT regrade_state_is_known CHECK (state IN (
        'proposed', 'ready', 'failed', 'approved', 'applied', 'dropped')),
    reason text NOT NULL,
    proposed_by text NOT NULL,
    proposed_ms bigint NOT NULL,
    key_id text NOT NULL, -- the API key of the call
    fingerprint bytea NOT NULL, -- keyed: tells the same call again, and no answer
    changes jsonb NOT NULL, -- which members of which items would change, never to what
    tried_ms bigint, -- when the dry run was made
    summary jsonb, -- its figures
    fault text, -- why there is none, or what happened to the last one
    decided_by text[] NOT NULL DEFAULT '{}',
    decided_ms bigint,
    applied_ms bigint,
    CONSTRAINT regrade_is_decided_by_two_people CHECK (
        (state IN ('approved', 'applied', 'dropped')) = (decided_ms IS NOT NULL)
        AND (decided_ms IS NULL OR cardinality(decided_by) >= 2))
);
CREATE UNIQUE INDEX one_open_regrade_per_batch ON regrade (batch_id) WHERE state IN ('proposed', 'ready', 'approved');
CREATE INDEX regrade_by_batch ON regrade (batch_id, number);
CREATE INDEX regrade_to_do ON regrade (number) WHERE state IN ('proposed', 'approved');

-- What a regrade changes to what, sealed to the grader: put in by a worker, read by the grader alone.
CREATE TABLE regrade_change (
    regrade_id text PRIMARY KEY REFERENCES regrade,
    recipient text NOT NULL,
    envelope bytea NOT NULL
);

-- What the dry run found: one row per result it would replace.
CREATE TABLE regrade_sitting (
    regrade_id text NOT NULL REFERENCES regrade,
    sitting_id text NOT NULL REFERENCES sitting,
    old_revision integer NOT NULL, -- the newest there was
    old_score numeric,
    new_score numeric,
    old_passed boolean,
    new_passed boolean,
    direction text NOT NULL CONSTRAINT direction_is_known CHECK (direction IN ('up', 'down', 'same', 'unscored')),
    pass_change text NOT NULL CONSTRAINT pass_change_is_known CHECK (pass_change IN ('', 'gained', 'lost')),
    PRIMARY KEY (regrade_id, sitting_id)
);
CREATE INDEX regrade_sitting_by_sitting ON regrade_sitting (sitting_id);

-- Answer keys that applied regrades have put in force, each whole: the newest of a batch's form holds.
CREATE TABLE regrade_key (
    regrade_id text NOT NULL REFERENCES regrade,
    number bigint NOT NULL, -- the regrade's
    batch_id text NOT NULL REFERENCES batch,
    form smallint NOT NULL,
    paper_digest text NOT NULL,
    answer_key_digest text NOT NULL,
    recipient text NOT NULL,
    envelope bytea NOT NULL,
    CONSTRAINT regrade_has_one_key_per_form PRIMARY KEY (batch_id, form, number)
);

-- Batches whose item statistics somebody asked for: a worker asks, the grader takes the row away and counts.
CREATE TABLE statistics_request (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL
);

-- Item statistics of a batch, each counting beside the ones before; the newest of the results' stand holds.
CREATE TABLE item_statistics (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    stand text NOT NULL, -- which results were counted
    is_withheld boolean NOT NULL, -- somebody had yet to sit the paper: nothing that tells its key is in the document
    counted_ms bigint NOT NULL,
    document text NOT NULL
);
CREATE INDEX item_statistics_by_batch ON item_statistics (batch_id, number);

-- Why a flag of the statistics stands, by a named person; append-only, the newest of a flag holds.
CREATE TABLE flag_explanation (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id text NOT NULL,
    paper_digest text NOT NULL,
    item text NOT NULL,
    flag text NOT NULL,
    explanation text NOT NULL,
    explained_by text NOT NULL,
    explained_ms bigint NOT NULL,
    key_id text NOT NULL -- the API key of the call
);
CREATE INDEX flag_explanation_by_batch ON flag_explanation (batch_id, number);

-- The last number given out in the feed of results. A row and not a sequence: a transaction that fails gives its
-- numbers back, so the feed has no gaps; the row's lock makes numbers visible in their order.
CREATE TABLE feed (
    is_only boolean PRIMARY KEY DEFAULT true CONSTRAINT feed_is_one CHECK (is_only),
    last_publication bigint NOT NULL
);
INSERT INTO feed (last_publication) VALUES (0);

-- Where published results are sent to, each once, by the courier.
CREATE TABLE webhook (
    webhook_id text PRIMARY KEY,
    url text NOT NULL,
    batches text[], -- results of these only; null: of all
    created_ms bigint NOT NULL,
    cursor bigint NOT NULL, -- the publication up to which its deliveries are made; the feed itself is the outbox
    disabled_ms bigint, -- nothing is sent any more: it answered 410
    disabled_why text
);

-- What its messages are signed with: the newest, and for a day the one before it.
CREATE TABLE webhook_secret (
    webhook_id text NOT NULL REFERENCES webhook ON DELETE CASCADE,
    digest bytea NOT NULL,
    wrapped bytea NOT NULL,
    made_ms bigint NOT NULL,
    until_ms bigint, -- null: the one in use
    PRIMARY KEY (webhook_id, digest)
);

-- The order in which results of one batch go to one webhook: whoever holds the row sends, one after another.
CREATE TABLE webhook_queue (
    webhook_id text NOT NULL REFERENCES webhook ON DELETE CASCADE,
    batch_id text NOT NULL,
    waiting integer NOT NULL CONSTRAINT queue_holds_no_less_than_nothing CHECK (waiting >= 0),
    visible_ms bigint NOT NULL, -- when a courier may take it; while one holds it, when its hold ends
    attempts integer NOT NULL DEFAULT 0, -- in vain, since the last that was not
    turn bigint NOT NULL DEFAULT 0, -- how often it was taken: who was late changes nothing any more
    PRIMARY KEY (webhook_id, batch_id)
);
CREATE INDEX webhook_queue_by_time ON webhook_queue (webhook_id, visible_ms) WHERE waiting > 0;

-- One published revision of one result on its way to one webhook.
CREATE TABLE webhook_delivery (
    message_id text PRIMARY KEY, -- the same however often it is sent; follows from webhook and document
    webhook_id text NOT NULL REFERENCES webhook ON DELETE CASCADE,
    batch_id text NOT NULL,
    sitting_id text NOT NULL,
    revision integer NOT NULL,
    publication bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CONSTRAINT delivery_state_is_known CHECK (state IN ('waiting', 'delivered', 'dead')),
    queued_ms bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    attempted_ms bigint, -- the last one: when, and what came of it
    attempted_status integer,
    attempted_fault text,
    CONSTRAINT revision_is_delivered_once UNIQUE (webhook_id, publication)
);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, batch_id, publication) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (webhook_id, queued_ms) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_dead ON webhook_delivery (webhook_id, publication) WHERE state = 'dead';

-- Roles belong to the whole server: another database may have made them, or be making them at this moment.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{liankao_engine,liankao_recorder,liankao_grader,liankao_courier}'::text[] LOOP
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
GRANT SELECT (scope, digest, revoked_ms) ON api_key TO liankao_engine;
GRANT SELECT, INSERT, UPDATE ON public_key, paper, batch TO liankao_engine;
GRANT INSERT ON answer_key TO liankao_engine;
GRANT SELECT, INSERT ON seal TO liankao_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON package TO liankao_engine;
GRANT SELECT, DELETE,
    INSERT (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room, seat, extra_time_s, form),
    UPDATE (name, id_number, admission_ticket, site, room, seat, extra_time_s, form, assigned)
    ON sitting TO liankao_engine;
GRANT SELECT (sitting_id, item, seq, value) ON response TO liankao_engine;
GRANT SELECT ON response_history TO liankao_engine;
GRANT SELECT (saved_ms) ON response_history_default TO liankao_engine;
GRANT SELECT (at_ms) ON sitting_event_default TO liankao_engine;
GRANT SELECT, INSERT ON room_event TO liankao_engine;
GRANT SELECT, INSERT ON photo, photo_act TO liankao_engine; -- nobody changes or deletes evidence
GRANT SELECT, INSERT, UPDATE ON device_check TO liankao_engine;
GRANT SELECT, INSERT ON batch_event TO liankao_engine;
GRANT SELECT (batch_id) ON erasing TO liankao_engine;
GRANT SELECT, UPDATE (is_withdrawn) ON disarming TO liankao_engine, liankao_recorder;
GRANT SELECT ON withdrawn_sitting TO liankao_engine, liankao_recorder;
GRANT SELECT, UPDATE (missing) ON assessment_task TO liankao_engine;
GRANT SELECT, INSERT ON assessment_mark TO liankao_engine;
GRANT INSERT ON assessment_due TO liankao_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON site, room TO liankao_engine;
GRANT INSERT ON statistics_request TO liankao_engine;
GRANT SELECT ON item_statistics TO liankao_engine;
GRANT SELECT, INSERT ON flag_explanation TO liankao_engine;
GRANT SELECT ON recording, recorder TO liankao_engine;
GRANT SELECT, UPDATE (publication) ON result TO liankao_engine;
GRANT SELECT, INSERT, UPDATE (state, fault, decided_by, decided_ms) ON regrade TO liankao_engine;
GRANT INSERT ON regrade_change TO liankao_engine;
GRANT SELECT, INSERT, UPDATE (state, answered_by, answer, answered_ms) ON score_review TO liankao_engine;
GRANT SELECT ON regrade_sitting TO liankao_engine;
GRANT SELECT, UPDATE (last_publication) ON feed TO liankao_engine;

-- The recorder. Never papers, answer keys or results; of a seal what Redis is rebuilt from.
GRANT SELECT ON batch TO liankao_recorder;
GRANT UPDATE (laid_ready) ON batch TO liankao_recorder;
GRANT SELECT (batch_id, form, sealed_digest, sealed, paper_key_wrapped, item_index) ON seal TO liankao_recorder;
GRANT SELECT, UPDATE (state, epoch, entered_ms, closed_ms, form) ON sitting TO liankao_recorder;
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
GRANT SELECT (batch_id, form, paper_digest, answer_key_digest, answer_key_recipient) ON seal TO liankao_grader;
GRANT SELECT ON answer_key TO liankao_grader;
GRANT SELECT (sitting_id, batch_id, candidate_id, admission_ticket, state, is_graded, form), UPDATE (is_graded)
    ON sitting TO liankao_grader;
GRANT SELECT (sitting_id, item, value) ON response TO liankao_grader;
GRANT INSERT ON result TO liankao_grader;
GRANT SELECT (document, marks) ON result TO liankao_grader; -- a regrade begins at the results there are
GRANT SELECT ON regrade TO liankao_grader;
GRANT SELECT, UPDATE (state, checked_ms, findings) ON score_review TO liankao_grader;
-- What a recheck compares a result with; nothing of it the grader can change.
GRANT SELECT (seq) ON response TO liankao_grader;
GRANT SELECT (sitting_id, item, seq, value, saved_ms, generation, position) ON response_history TO liankao_grader;
GRANT SELECT (sitting_id, kind, at_ms) ON sitting_event TO liankao_grader;
GRANT SELECT (sitting_id, kind, away_ms) ON room_event TO liankao_grader;
GRANT SELECT (closed_ms, extra_time_s) ON sitting TO liankao_grader;
GRANT UPDATE (state, tried_ms, summary, fault, decided_by, decided_ms, applied_ms) ON regrade TO liankao_grader;
GRANT SELECT ON regrade_change TO liankao_grader;
GRANT SELECT, INSERT, DELETE ON regrade_sitting TO liankao_grader;
GRANT SELECT, INSERT ON regrade_key TO liankao_grader;
GRANT SELECT, UPDATE (last_publication) ON feed TO liankao_grader;
GRANT INSERT ON batch_event TO liankao_grader;
GRANT SELECT, INSERT, UPDATE (missing) ON assessment_task TO liankao_grader;
GRANT SELECT ON assessment_mark TO liankao_grader;
GRANT SELECT, UPDATE, DELETE ON assessment_due TO liankao_grader;
GRANT SELECT (sitting_id, revision, state) ON result TO liankao_grader;
GRANT SELECT, UPDATE, DELETE ON statistics_request TO liankao_grader;
GRANT INSERT ON item_statistics TO liankao_grader;
GRANT SELECT (item_index) ON seal TO liankao_grader;
GRANT SELECT (batch_id) ON erasing TO liankao_grader; -- from what is gone it counts and checks nothing

-- The worker manages webhooks; what a secret is it forgets once it has been put in.
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook TO liankao_engine;
GRANT SELECT (webhook_id, digest, until_ms), INSERT, UPDATE (until_ms) ON webhook_secret TO liankao_engine;
GRANT SELECT, UPDATE (waiting, visible_ms, attempts) ON webhook_queue TO liankao_engine;
GRANT SELECT, UPDATE (state, queued_ms) ON webhook_delivery TO liankao_engine;

-- The courier, which talks to strangers: published documents and nothing else. No answers, no papers, no persons.
GRANT SELECT, UPDATE (cursor, disabled_ms, disabled_why) ON webhook TO liankao_courier;
GRANT SELECT ON webhook_secret TO liankao_courier;
GRANT SELECT, INSERT, UPDATE ON webhook_queue, webhook_delivery TO liankao_courier;
GRANT SELECT (publication, batch_id, sitting_id, revision, document) ON result TO liankao_courier;
GRANT SELECT (batch_id) ON result TO liankao_grader; -- whose item statistics it counts

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
CREATE FUNCTION make_month(parent text, first_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO public, pg_temp
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

-- Destroying a seal needs the tables' owner; a worker may ask for exactly this, and only before the start.
CREATE FUNCTION undo_arming(
    of_batch text, at_ms bigint, known_as text[], old_ids text[], new_ids text[], new_partitions smallint[]
) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO public, pg_temp
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
