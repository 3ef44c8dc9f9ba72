-- What people sent, as they sent it, and what became of it. A report and the request that it becomes share their id: a
-- second request of one report cannot be written, and the reporter's tracking token is good for both.
CREATE TABLE reports (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'processed', 'parked')),
    role            text NOT NULL, -- of who sent it
    actor_id        text,
    citizen_id      uuid,
    contact_channel text NOT NULL CHECK (contact_channel IN ('email', 'sms', 'none')),
    description     text NOT NULL,
    location        jsonb, -- a GeoJSON point, or a text
    tags            text[] NOT NULL,
    evidence        jsonb NOT NULL,
    asset_id        text,
    external_id     text,
    is_public       boolean,
    submitted_at    timestamptz NOT NULL,
    due_at          timestamptz DEFAULT now(), -- when a worker may take it: moved on by a lease and by back-off
    attempts        smallint NOT NULL DEFAULT 0,
    last_error      text,
    outcome         text CHECK (outcome IN ('new', 'attached', 'proposed')),
    decision        jsonb,
    processed_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, citizen_id) REFERENCES citizens,
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((state = 'processed') = (outcome IS NOT NULL))
);
-- No foreign key to tenants: a check per report would queue them all on the tenant's row.
CREATE UNIQUE INDEX reports_external ON reports (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX reports_due ON reports (tenant_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reports_submitted ON reports (tenant_id, submitted_at, id);
CREATE INDEX reports_open ON reports (tenant_id, state, submitted_at, id) WHERE state <> 'processed';
CREATE INDEX reports_outcome ON reports (tenant_id, outcome, submitted_at, id) WHERE outcome IS NOT NULL;
-- Every row is updated twice soon after it was written; with room beside it, the page stays the same.
ALTER TABLE reports SET (fillfactor = 85);

ALTER TABLE reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE reports FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON reports USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON reports TO civicpulse_app;

-- Which tenants have reports to process.
GRANT SELECT (tenant_id, due_at) ON reports TO civicpulse_gate;
CREATE POLICY gate ON reports FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_tenants_reports() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS (SELECT 1 FROM reports r WHERE r.tenant_id = t.tenant_id AND r.due_at <= now())
$$;
ALTER FUNCTION gate_tenants_reports() OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_tenants_reports() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_tenants_reports() TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
