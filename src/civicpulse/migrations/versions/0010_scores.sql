-- How each resolution stood against its threshold, and the scores of zones and tenants, hour by hour.

-- One row for each resolution of a request: solved, opened again and solved again makes two. The row of the resolution
-- that stands is current (superseded_at is null), every other one of the request is superseded.
CREATE TABLE sla_metrics (
    tenant_id             uuid NOT NULL,
    id                    uuid NOT NULL,
    request_id            uuid NOT NULL,
    category              text NOT NULL,
    priority              text NOT NULL,
    zone_id               text NOT NULL,
    resolved_at           timestamptz NOT NULL,
    due_at                timestamptz,      -- the request's deadline, as its calendar and its pauses moved it
    resolution_time_hours double precision NOT NULL,
    threshold_hours       double precision, -- null: nothing was promised
    met_sla               boolean,
    judged_by             text NOT NULL CHECK (judged_by IN ('clock', 'comparison', 'none')),
    calculated_at         timestamptz NOT NULL,
    superseded_at         timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, request_id, resolved_at),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);
CREATE INDEX sla_metrics_resolved ON sla_metrics (tenant_id, resolved_at, id);
CREATE INDEX sla_metrics_category ON sla_metrics (tenant_id, category, resolved_at, id);
CREATE INDEX sla_metrics_zone ON sla_metrics (tenant_id, zone_id, resolved_at, id);

-- Requests whose figure may have changed since it was taken; rows are only added here and removed by the job, so nobody
-- waits for anybody. The cost of a look follows what was resolved since the last one.
CREATE TABLE sla_unmeasured (
    tenant_id  uuid NOT NULL,
    request_id uuid NOT NULL
);
CREATE INDEX sla_unmeasured_request ON sla_unmeasured (tenant_id, request_id);

CREATE FUNCTION note_unmeasured() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sla_unmeasured (tenant_id, request_id) VALUES (NEW.tenant_id, NEW.id);
    RETURN NULL;
END $$;
-- New requests are open, save for imported ones: the condition keeps the intake from calling the function.
CREATE TRIGGER requests_unmeasured AFTER INSERT ON requests FOR EACH ROW
    WHEN (NEW.resolved_at IS NOT NULL AND NEW.master_id IS NULL) EXECUTE FUNCTION note_unmeasured();
CREATE TRIGGER requests_unmeasured_changed AFTER UPDATE ON requests FOR EACH ROW
    WHEN ((OLD.resolved_at IS NOT NULL OR NEW.resolved_at IS NOT NULL)
          AND (OLD.resolved_at, OLD.created_at, OLD.state_category, OLD.master_id, OLD.category, OLD.priority, OLD.zone_id,
               OLD.sla, OLD.sla_due_at, OLD.sla_met)
              IS DISTINCT FROM
              (NEW.resolved_at, NEW.created_at, NEW.state_category, NEW.master_id, NEW.category, NEW.priority, NEW.zone_id,
               NEW.sla, NEW.sla_due_at, NEW.sla_met))
    EXECUTE FUNCTION note_unmeasured();

-- Requests that were resolved before there were metrics.
INSERT INTO sla_unmeasured SELECT tenant_id, id FROM requests WHERE resolved_at IS NOT NULL AND master_id IS NULL;

-- A row per hour, zone and audience, with every part of the score. zone_id '' stands for the whole tenant; public_only
-- counts public requests only, for callers who may not know of the others.
CREATE TABLE performance_scores (
    tenant_id            uuid NOT NULL REFERENCES tenants,
    id                   uuid NOT NULL,
    zone_id              text NOT NULL,
    public_only          boolean NOT NULL,
    hour                 timestamptz NOT NULL,
    score                double precision CHECK (score BETWEEN 0 AND 100), -- null: nothing to judge
    compliance           double precision,
    speed                double precision,
    avg_resolution_hours double precision,
    resolved_count       int NOT NULL,
    met_count            int NOT NULL,
    missed_count         int NOT NULL,
    open_count           int NOT NULL,
    closed_count         int NOT NULL,
    weights              jsonb NOT NULL,
    window_days          int NOT NULL,
    calculated_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, public_only, zone_id, hour)
);
CREATE INDEX performance_scores_hour ON performance_scores (tenant_id, public_only, hour, zone_id);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sla_metrics', 'sla_unmeasured', 'performance_scores'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
GRANT DELETE ON sla_unmeasured, performance_scores TO civicpulse_app;

-- The application changes of a tenant what its configuration says, never its slug or its secret; the owner makes tenants.
REVOKE INSERT, UPDATE ON tenants FROM civicpulse_app;
GRANT UPDATE (name, kind, pack_version, zones_version) ON tenants TO civicpulse_app;

-- ------------------------------------------------------------------------------------------------------------- the gates

GRANT SELECT ON sla_unmeasured, performance_scores, pack_versions TO civicpulse_gate;
CREATE POLICY gate ON sla_unmeasured FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON performance_scores FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON pack_versions FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;

CREATE FUNCTION gate_tenants_unmeasured() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS (SELECT 1 FROM sla_unmeasured u WHERE u.tenant_id = t.tenant_id)
$$;

-- Which tenants have no scores of that hour yet.
CREATE FUNCTION gate_tenants_unscored(wanted timestamptz) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE NOT EXISTS
        (SELECT 1 FROM performance_scores p WHERE p.tenant_id = t.tenant_id AND NOT p.public_only AND p.zone_id = '' AND p.hour = wanted)
$$;

-- The leaderboard of tenants: those alone whose pack says score.public, with the score of their public requests, the one
-- of a day before, and nothing else.
CREATE FUNCTION gate_public_scores() RETURNS TABLE (slug text, name text, kind text, score float8, compliance float8, speed float8,
    avg_resolution_hours float8, resolved_count int, open_count int, calculated_at timestamptz, day_before float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.slug, t.name, t.kind, s.score, s.compliance, s.speed, s.avg_resolution_hours, s.resolved_count, s.open_count,
           s.calculated_at, b.score
    FROM tenants t
    JOIN pack_versions v ON v.tenant_id = t.tenant_id AND v.version = t.pack_version AND v.document #> '{score,public}' = 'true'
    LEFT JOIN LATERAL (
        SELECT p.score, p.compliance, p.speed, p.avg_resolution_hours, p.resolved_count, p.open_count, p.calculated_at, p.hour
        FROM performance_scores p WHERE p.tenant_id = t.tenant_id AND p.public_only AND p.zone_id = '' ORDER BY p.hour DESC LIMIT 1
    ) AS s ON true
    LEFT JOIN LATERAL (
        SELECT p.score FROM performance_scores p
        WHERE p.tenant_id = t.tenant_id AND p.public_only AND p.zone_id = ''
          AND p.hour <= s.hour - interval '24 hours' AND p.hour > s.hour - interval '48 hours'
        ORDER BY p.hour DESC LIMIT 1
    ) AS b ON true
$$;

DO $$
DECLARE signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY['gate_tenants_unmeasured()', 'gate_tenants_unscored(timestamptz)', 'gate_public_scores()'] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO civicpulse_gate', signature);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO civicpulse_app', signature);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
