-- What was understood of a request's text; the latest row is current, the earlier ones stay.
CREATE TABLE analyses (
    tenant_id            uuid NOT NULL,
    id                   uuid NOT NULL,
    request_id           uuid NOT NULL,
    category             text NOT NULL,
    category_scores      jsonb NOT NULL,
    priority             smallint NOT NULL CHECK (priority BETWEEN 1 AND 10),
    sentiment            text NOT NULL CHECK (sentiment IN ('positive', 'neutral', 'negative')),
    language             text NOT NULL,
    summary              text NOT NULL,
    recommendation       text NOT NULL,
    confidence           double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    needs_person         boolean NOT NULL,
    engine               text NOT NULL CHECK (engine IN ('offline', 'llm')),
    model                text NOT NULL,
    version              text NOT NULL,
    fell_back_because    text,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);
CREATE INDEX analyses_request ON analyses (tenant_id, request_id, created_at DESC, id DESC);

-- A tenant's text models: arrays and JSON, never code. One is active; a tenant's versions count from 1.
CREATE TABLE models (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    version       int NOT NULL CHECK (version > 0),
    trained_at    timestamptz NOT NULL,
    trained_by    text NOT NULL,
    trained_until timestamptz, -- the newest confirmed request it has seen; null: it knows the pack only
    rows          int NOT NULL,
    metrics       jsonb,
    payload       bytea NOT NULL,
    active        boolean NOT NULL,
    PRIMARY KEY (tenant_id, version)
);
CREATE UNIQUE INDEX models_active ON models (tenant_id) WHERE active;
ALTER TABLE models ALTER COLUMN payload SET STORAGE EXTERNAL; -- it is compressed already

-- Every call of a language model, for audit and for the daily budget; never its text.
CREATE TABLE llm_calls (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    at            timestamptz NOT NULL,
    purpose       text NOT NULL,
    model         text NOT NULL,
    version       text NOT NULL,
    mode          text NOT NULL,
    tokens_in     int NOT NULL,
    tokens_out    int NOT NULL,
    latency_ms    int NOT NULL,
    prompt_sha256 bytea NOT NULL,
    outcome       text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX llm_calls_day ON llm_calls (tenant_id, at);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['analyses', 'models', 'llm_calls'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
GRANT UPDATE (active) ON models TO civicpulse_app;
