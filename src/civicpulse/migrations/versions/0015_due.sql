-- The directory of what is due: a worker reads these marks, never the tenants' rows. Whoever adds work adds a mark in the same
-- statement and nobody waits for anybody; a worker replaces the marks that it sees (base/due.py). No key: two marks of one
-- queue are as good as one.
CREATE TABLE due (
    tenant_id uuid NOT NULL,
    queue     text NOT NULL,
    due_at    timestamptz NOT NULL
);
CREATE INDEX due_queue ON due (tenant_id, queue);
-- Rows live for seconds: without this the table would be mostly dead ones.
ALTER TABLE due SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What waits already is found by looking everywhere once.
INSERT INTO due (tenant_id, queue, due_at)
SELECT t.tenant_id, q.name, now() FROM tenants t
CROSS JOIN unnest(ARRAY['outbox', 'reports', 'runs', 'opinions', 'notifications', 'clocks', 'kpis', 'metrics']) AS q (name);

ALTER TABLE due ENABLE ROW LEVEL SECURITY;
ALTER TABLE due FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON due USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON due TO civicpulse_app;

GRANT SELECT ON due TO civicpulse_gate;
CREATE POLICY gate ON due FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_due(at timestamptz) RETURNS TABLE (queue text, tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT d.queue, d.tenant_id FROM due d WHERE d.due_at <= at
$$;
ALTER FUNCTION gate_due(timestamptz) OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_due(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_due(timestamptz) TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;

-- Every event marks its tenant's outbox, whoever writes it: also the code of the release before.
CREATE FUNCTION mark_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO due (tenant_id, queue, due_at) SELECT current_tenant(), 'outbox', now() WHERE current_tenant() IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_marked AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION mark_outbox();
