-- The ledger behind GET /analytics/kpis. Every change of a request that counts appends signed rows to kpi_deltas in the
-- same transaction: nothing is locked, nothing is updated, so intake never queues here. The worker folds the rows into
-- kpi_cells from time to time. The truth at any moment is cells + deltas; insight/ledger.py reads and folds both.

CREATE TABLE kpi_deltas (
    tenant_id     uuid NOT NULL,
    day           date NOT NULL,     -- UTC day of created_at
    zone_id       text NOT NULL,
    category      text NOT NULL,
    priority      text NOT NULL,
    status        text NOT NULL,     -- of the backlog only, else '': figures are by open state, and most cells of the past are one row
    is_public     boolean NOT NULL,
    bucket        smallint,          -- of the resolution time, see kpi_bucket; NULL while unresolved
    masters       int NOT NULL,
    duplicates    int NOT NULL,
    backlog       int NOT NULL,
    resolved      int NOT NULL,
    resolution_ms bigint NOT NULL,
    with_sla      int NOT NULL,
    met           int NOT NULL,
    missed        int NOT NULL,
    on_time       int NOT NULL,
    at_risk       int NOT NULL,
    overdue       int NOT NULL,
    breached      int NOT NULL,
    escalations   int NOT NULL,
    rating_1      int NOT NULL,
    rating_2      int NOT NULL,
    rating_3      int NOT NULL,
    rating_4      int NOT NULL,
    rating_5      int NOT NULL,
    disputes      int NOT NULL
);
CREATE INDEX kpi_deltas_tenant ON kpi_deltas (tenant_id);

-- A cell sums what was folded, once for each subset of the dimensions: `dims` says which ones it keeps (1 zone, 2 category,
-- 4 priority), the others are ''. So a question with any filters and any breakdown reads only rows that it needs. Each
-- exists per month (is_month, start = first day) and per day. h00..h31: resolved requests by bucket, NULL for none.
CREATE TABLE kpi_cells (
    tenant_id     uuid NOT NULL,
    dims          smallint NOT NULL CHECK (dims BETWEEN 0 AND 7),
    is_month      boolean NOT NULL,
    start         date NOT NULL,
    zone_id       text NOT NULL,
    category      text NOT NULL,
    priority      text NOT NULL,
    status        text NOT NULL,
    is_public     boolean NOT NULL,
    masters       int NOT NULL,
    duplicates    int NOT NULL,
    backlog       int NOT NULL,
    resolved      int NOT NULL,
    resolution_ms bigint NOT NULL,
    with_sla      int NOT NULL,
    met           int NOT NULL,
    missed        int NOT NULL,
    on_time       int NOT NULL,
    at_risk       int NOT NULL,
    overdue       int NOT NULL,
    breached      int NOT NULL,
    escalations   int NOT NULL,
    rating_1      int NOT NULL,
    rating_2      int NOT NULL,
    rating_3      int NOT NULL,
    rating_4      int NOT NULL,
    rating_5      int NOT NULL,
    disputes      int NOT NULL,
    h00 int, h01 int, h02 int, h03 int, h04 int, h05 int, h06 int, h07 int, h08 int, h09 int, h10 int,
    h11 int, h12 int, h13 int, h14 int, h15 int, h16 int, h17 int, h18 int, h19 int, h20 int, h21 int,
    h22 int, h23 int, h24 int, h25 int, h26 int, h27 int, h28 int, h29 int, h30 int, h31 int,
    PRIMARY KEY (tenant_id, dims, is_month, start, zone_id, category, priority, status, is_public)
) WITH (fillfactor = 85);

-- The bucket of a resolution time: bounds in minutes from 5 minutes to a year, the same as BOUNDS in insight/measures.py.
CREATE FUNCTION kpi_bucket(minutes double precision) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN width_bucket(minutes, ARRAY[
        5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1080, 1440, 2160, 2880, 4320, 5760, 7200, 10080,
        14400, 20160, 30240, 43200, 64800, 86400, 129600, 259200, 525600]::double precision[])::smallint;

-- What each request adds to the ledger. Masters carry the work; duplicates are counted apart, but a rating, a dispute or an
-- escalation counts wherever it happened. Read for parts of days, and by the check that the ledger is right.
CREATE VIEW kpi_contributions WITH (security_invoker = true) AS
SELECT r.tenant_id, r.id, r.created_at, (r.created_at AT TIME ZONE 'UTC')::date AS day, r.zone_id, r.category, r.priority,
       CASE WHEN is_master AND NOT is_over THEN r.status ELSE '' END AS status, r.is_public,
       CASE WHEN is_done THEN kpi_bucket(ms / 60000.0) END AS bucket,
       is_master::int AS masters, (NOT is_master)::int AS duplicates, (is_master AND NOT is_over)::int AS backlog,
       is_done::int AS resolved, CASE WHEN is_done THEN ms ELSE 0 END AS resolution_ms,
       (is_master AND r.sla_state <> 'no_sla')::int AS with_sla,
       coalesce(is_over AND r.sla_met, false)::int AS met, coalesce(is_over AND NOT r.sla_met, false)::int AS missed,
       (is_master AND r.sla_state = 'on_time')::int AS on_time, (is_master AND r.sla_state = 'at_risk')::int AS at_risk,
       (is_master AND r.sla_state = 'overdue')::int AS overdue, (is_master AND r.sla_state = 'breached')::int AS breached,
       r.escalation_count AS escalations,
       coalesce(r.rating = 1, false)::int AS rating_1, coalesce(r.rating = 2, false)::int AS rating_2,
       coalesce(r.rating = 3, false)::int AS rating_3, coalesce(r.rating = 4, false)::int AS rating_4,
       coalesce(r.rating = 5, false)::int AS rating_5, r.disputed::int AS disputes
FROM requests r
CROSS JOIN LATERAL (SELECT r.master_id IS NULL AS is_master) AS a
CROSS JOIN LATERAL (SELECT is_master AND r.state_category IN ('resolved', 'closed') AS is_over) AS b
CROSS JOIN LATERAL (SELECT is_over AND r.resolved_at IS NOT NULL AS is_done) AS c
CROSS JOIN LATERAL (SELECT (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint AS ms) AS d;

-- The same for the row at hand, signed: minus what it was, plus what it is. One row at a time and by hand because it runs
-- on the intake's path: 25 µs, against 42 µs for transition tables.
CREATE FUNCTION note_kpis() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE r requests; sign int; is_master boolean; is_over boolean; is_done boolean; ms bigint;
BEGIN
    FOR pass IN (CASE TG_OP WHEN 'INSERT' THEN 2 ELSE 1 END) .. (CASE TG_OP WHEN 'DELETE' THEN 1 ELSE 2 END) LOOP
        IF pass = 1 THEN r := OLD; sign := -1; ELSE r := NEW; sign := 1; END IF;
        is_master := r.master_id IS NULL;
        is_over := is_master AND r.state_category IN ('resolved', 'closed');
        is_done := is_over AND r.resolved_at IS NOT NULL;
        ms := CASE WHEN is_done THEN (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint ELSE 0 END;
        INSERT INTO kpi_deltas VALUES (
            r.tenant_id, (r.created_at AT TIME ZONE 'UTC')::date, r.zone_id, r.category, r.priority,
            CASE WHEN is_master AND NOT is_over THEN r.status ELSE '' END, r.is_public, CASE WHEN is_done THEN kpi_bucket(ms / 60000.0) END,
            sign * is_master::int, sign * (NOT is_master)::int, sign * (is_master AND NOT is_over)::int,
            sign * is_done::int, sign * ms, sign * (is_master AND r.sla_state <> 'no_sla')::int,
            sign * coalesce(is_over AND r.sla_met, false)::int, sign * coalesce(is_over AND NOT r.sla_met, false)::int,
            sign * (is_master AND r.sla_state = 'on_time')::int, sign * (is_master AND r.sla_state = 'at_risk')::int,
            sign * (is_master AND r.sla_state = 'overdue')::int, sign * (is_master AND r.sla_state = 'breached')::int,
            sign * r.escalation_count,
            sign * coalesce(r.rating = 1, false)::int, sign * coalesce(r.rating = 2, false)::int,
            sign * coalesce(r.rating = 3, false)::int, sign * coalesce(r.rating = 4, false)::int,
            sign * coalesce(r.rating = 5, false)::int, sign * r.disputed::int);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER requests_kpis AFTER INSERT OR DELETE ON requests FOR EACH ROW EXECUTE FUNCTION note_kpis();
CREATE TRIGGER requests_kpis_changed AFTER UPDATE ON requests FOR EACH ROW
    WHEN ((OLD.zone_id, OLD.category, OLD.priority, OLD.status, OLD.state_category, OLD.is_public, OLD.master_id, OLD.created_at,
           OLD.resolved_at, OLD.sla_state, OLD.sla_met, OLD.escalation_count, OLD.rating, OLD.disputed)
          IS DISTINCT FROM
          (NEW.zone_id, NEW.category, NEW.priority, NEW.status, NEW.state_category, NEW.is_public, NEW.master_id, NEW.created_at,
           NEW.resolved_at, NEW.sla_state, NEW.sla_met, NEW.escalation_count, NEW.rating, NEW.disputed))
    EXECUTE FUNCTION note_kpis();

-- Requests that were there before the ledger.
INSERT INTO kpi_deltas SELECT tenant_id, day, zone_id, category, priority, status, is_public, bucket, masters, duplicates,
    backlog, resolved, resolution_ms, with_sla, met, missed, on_time, at_risk, overdue, breached, escalations,
    rating_1, rating_2, rating_3, rating_4, rating_5, disputes FROM kpi_contributions;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['kpi_deltas', 'kpi_cells'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
GRANT SELECT ON kpi_contributions TO civicpulse_app;

-- Which tenants have something to fold.
GRANT SELECT ON kpi_deltas TO civicpulse_gate;
CREATE POLICY gate ON kpi_deltas FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_tenants_kpis() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS (SELECT 1 FROM kpi_deltas d WHERE d.tenant_id = t.tenant_id)
$$;
ALTER FUNCTION gate_tenants_kpis() OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_tenants_kpis() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_tenants_kpis() TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;

-- ------------------------------------------------------------------------------------------------- indexes for analytics

-- The map: every column that a feed filters, groups or weighs by, so that it never visits the table.
CREATE INDEX requests_open ON requests (tenant_id, cell)
    INCLUDE (request_id, zone_id, category, priority, status, sla_state, created_at, lon, lat, is_public)
    WHERE state_category IN ('open', 'waiting') AND master_id IS NULL;
-- Exact medians of narrow questions, and what was resolved lately. Written when a request is resolved, not at intake.
CREATE INDEX requests_resolution ON requests (tenant_id, zone_id, category, priority, created_at)
    INCLUDE (resolved_at, state_category, is_public) WHERE resolved_at IS NOT NULL AND master_id IS NULL;
CREATE INDEX requests_resolved ON requests (tenant_id, resolved_at)
    INCLUDE (created_at, zone_id, category, priority, state_category, is_public)
    WHERE resolved_at IS NOT NULL AND master_id IS NULL;
-- What comes back at the same place is read in this order, without visiting the table.
DROP INDEX requests_candidates;
CREATE INDEX requests_candidates ON requests (tenant_id, category, cell, created_at) INCLUDE (zone_id, is_public)
    WHERE master_id IS NULL AND cell IS NOT NULL;
-- An agent's desk: what is open now, what came and what was done in a period.
DROP INDEX requests_agent_open;
CREATE INDEX requests_agent_open ON requests (tenant_id, assigned_agent_id) INCLUDE (status, sla_state)
    WHERE assigned_agent_id IS NOT NULL AND master_id IS NULL AND state_category IN ('open', 'waiting');
CREATE INDEX requests_agent_assigned ON requests (tenant_id, assigned_agent_id, assigned_at) INCLUDE (escalation_count)
    WHERE assigned_agent_id IS NOT NULL AND master_id IS NULL;
CREATE INDEX requests_agent_resolved ON requests (tenant_id, assigned_agent_id, resolved_at)
    INCLUDE (created_at, state_category, sla_met, rating)
    WHERE assigned_agent_id IS NOT NULL AND master_id IS NULL AND resolved_at IS NOT NULL;

-- A feed is rewritten every few seconds: compressing it would cost more than its disk.
ALTER TABLE geo_feeds ALTER COLUMN geojson SET STORAGE EXTERNAL;
