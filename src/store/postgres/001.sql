-- Tables of api-tokens, version 1. Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE {schema}.token_migration (
    version bigint PRIMARY KEY,
    -- Whether programs that know only earlier versions must not use the tables any more.
    breaking boolean NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.token (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    prefix text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_through text COLLATE "C",
    -- Separated by spaces.
    scopes text COLLATE "C" NOT NULL,
    -- A JSON object of strings.
    metadata text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    not_before bigint,
    expires_at bigint,
    disabled boolean NOT NULL,
    revoked_at bigint,
    revoked_by text COLLATE "C",
    revocation_reason text COLLATE "C",
    family text COLLATE "C",
    predecessor text COLLATE "C",
    successor text COLLATE "C",
    overlap_ends_at bigint,
    -- Whether the predecessor's overlap ends when this token is first used.
    retires_predecessor boolean,
    -- When the token is dead for good: computed by the program, which prunes by it.
    ends_at bigint
);

CREATE INDEX token_by_creation ON {schema}.token (created_at, id);
CREATE INDEX token_by_project ON {schema}.token (project, created_at, id);
CREATE INDEX token_by_owner ON {schema}.token (owner, created_at, id);
CREATE INDEX token_by_end ON {schema}.token (ends_at, id) WHERE ends_at IS NOT NULL;

-- One row, locked by each transaction that changes records, from its last statement to its end:
-- so the revision counts the changes in the order in which they are committed. The incarnation
-- names this history, together with the server's timeline and the time of its start: give it
-- another random number after loading a dump's rows into tables that were there.
CREATE TABLE {schema}.token_head (
    one integer PRIMARY KEY CHECK (one = 1),
    incarnation bigint NOT NULL,
    revision bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO {schema}.token_head VALUES (1, (random() * 9007199254740991)::bigint, 0);

CREATE TABLE {schema}.token_change (
    revision bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL
);

-- Apart from the records, since it is written so much more often: in place, if pages have room.
CREATE TABLE {schema}.token_usage (
    id text COLLATE "C" PRIMARY KEY REFERENCES {schema}.token (id) ON DELETE CASCADE,
    last_used_at bigint NOT NULL,
    client_address text COLLATE "C",
    user_agent text COLLATE "C"
) WITH (fillfactor = 50);

-- What happened, appended in the transaction of the change and never changed: the audit log.
CREATE TABLE {schema}.token_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    -- What the event is about; absent if it is about no single token.
    token text COLLATE "C",
    project text COLLATE "C",
    -- Such as created, rotated, revoked.
    type text COLLATE "C" NOT NULL,
    -- Who did it, and the token through which they did it.
    by_principal text COLLATE "C",
    by_token text COLLATE "C",
    -- All there is to know of this type of event: a JSON object.
    detail text COLLATE "C" NOT NULL
);

CREATE INDEX token_event_by_token ON {schema}.token_event (token, number)
    WHERE token IS NOT NULL;

-- Old events may be deleted, and none may be altered.
CREATE FUNCTION {schema}.token_event_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER token_event_append_only BEFORE UPDATE ON {schema}.token_event
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.token_event_refuse_update();

INSERT INTO {schema}.token_migration (version, breaking) VALUES (1, true);
