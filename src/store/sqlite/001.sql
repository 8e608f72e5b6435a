-- Tables of api-tokens, version 1. Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE {prefix}token_migration (
    version INTEGER PRIMARY KEY,
    -- Whether programs that know only earlier versions must not use the tables any more.
    breaking INTEGER NOT NULL,
    applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;

CREATE TABLE {prefix}token (
    id TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    digest TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_through TEXT,
    -- Separated by spaces.
    scopes TEXT NOT NULL,
    -- A JSON object of strings.
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    not_before INTEGER,
    expires_at INTEGER,
    disabled INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    revocation_reason TEXT,
    family TEXT,
    predecessor TEXT,
    successor TEXT,
    overlap_ends_at INTEGER,
    -- Whether the predecessor's overlap ends when this token is first used.
    retires_predecessor INTEGER,
    -- When the token is dead for good: computed by the program, which prunes by it.
    ends_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX {prefix}token_by_creation ON {prefix}token (created_at, id);
CREATE INDEX {prefix}token_by_project ON {prefix}token (project, created_at, id);
CREATE INDEX {prefix}token_by_owner ON {prefix}token (owner, created_at, id);
CREATE INDEX {prefix}token_by_end ON {prefix}token (ends_at) WHERE ends_at IS NOT NULL;

-- One row. The revision counts the changes, in the order in which they were committed. The
-- incarnation names this history: give it another random number after restoring a backup.
CREATE TABLE {prefix}token_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO {prefix}token_head VALUES (1, abs(random() >> 1), 0);

CREATE TABLE {prefix}token_change (
    revision INTEGER PRIMARY KEY,
    id TEXT NOT NULL
) STRICT;

-- Apart from the records, since it is written so much more often.
CREATE TABLE {prefix}token_usage (
    id TEXT PRIMARY KEY NOT NULL,
    last_used_at INTEGER NOT NULL,
    client_address TEXT,
    user_agent TEXT
) STRICT, WITHOUT ROWID;

-- What happened, appended in the transaction of the change and never changed: the audit log.
CREATE TABLE {prefix}token_event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- What the event is about; absent if it is about no single token.
    token TEXT,
    project TEXT,
    -- Such as created, rotated, revoked.
    type TEXT NOT NULL,
    -- Who did it, and the token through which they did it.
    by_principal TEXT,
    by_token TEXT,
    -- All there is to know of this type of event: a JSON object.
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX {prefix}token_event_by_token ON {prefix}token_event (token, number)
    WHERE token IS NOT NULL;

INSERT INTO {prefix}token_migration (version, breaking) VALUES (1, 1);
