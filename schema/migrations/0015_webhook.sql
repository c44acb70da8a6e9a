-- migrate:up

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

DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'liankao_courier') THEN
            CREATE ROLE liankao_courier LOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO liankao_courier', current_schema());
END
$$;

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

-- migrate:down
REVOKE SELECT (publication, batch_id, sitting_id, revision, document) ON result FROM liankao_courier;
DROP TABLE webhook_delivery;
DROP TABLE webhook_queue;
DROP TABLE webhook_secret;
DROP TABLE webhook;
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM liankao_courier', current_schema());
END
$$;
