-- A run of the CSV pipeline (spec 5, section 5): where it stands is written with what it has done, batch by batch, so that
-- it goes on there after any crash.
CREATE TABLE pipeline_runs (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('upload', 'process')),
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    step         text NOT NULL CHECK (step IN ('ingest', 'attachments', 'geocode', 'analyse', 'assign')),
    files        jsonb NOT NULL DEFAULT '[]', -- where the uploaded files lie in the object store, and how to read them
    options      jsonb NOT NULL DEFAULT '{}',
    progress     jsonb NOT NULL DEFAULT '{}', -- by step: done, total, and after which the next batch begins
    counts       jsonb NOT NULL DEFAULT '{}',
    errors       jsonb NOT NULL DEFAULT '[]', -- the first thousand
    ticket_ids   uuid[] NOT NULL DEFAULT '{}', -- the first thousand tickets of the file, for the answer
    last_error   text,
    requested_by text NOT NULL,
    attempts     int NOT NULL DEFAULT 0, -- each lease has its number: who has lost the lease writes nothing more
    due_at       timestamptz DEFAULT now(), -- when a worker may take it: moved on while one works on it
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    updated_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state IN ('waiting', 'running')) = (due_at IS NOT NULL))
);
CREATE INDEX pipeline_runs_due ON pipeline_runs (tenant_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX pipeline_runs_created ON pipeline_runs (tenant_id, created_at, id);

-- The tickets of a run between its steps: gone when the run is done.
CREATE TABLE pipeline_tickets (
    tenant_id   uuid NOT NULL,
    run_id      uuid NOT NULL,
    position    int NOT NULL, -- the row of the file
    line        int,
    request_id  uuid NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('new', 'changed', 'unchanged', 'redo')),
    client_guid text NOT NULL,
    given       jsonb NOT NULL, -- the row's values
    fingerprint bytea,
    place       jsonb,
    evidence    jsonb NOT NULL DEFAULT '[]',
    given_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, position),
    UNIQUE (tenant_id, run_id, client_guid),
    FOREIGN KEY (tenant_id, run_id) REFERENCES pipeline_runs
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['pipeline_runs', 'pipeline_tickets'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
GRANT DELETE ON pipeline_tickets TO civicpulse_app;

-- Which tenants have runs to work on.
GRANT SELECT (tenant_id, due_at) ON pipeline_runs TO civicpulse_gate;
CREATE POLICY gate ON pipeline_runs FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_tenants_pipeline() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS (SELECT 1 FROM pipeline_runs p WHERE p.tenant_id = t.tenant_id AND p.due_at <= now())
$$;
ALTER FUNCTION gate_tenants_pipeline() OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_tenants_pipeline() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_tenants_pipeline() TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
