-- Key figures are of the tenant's own days, count each dispute that was made, and judge nothing that was not resolved.

-- How often a request was disputed; it stays when a dispute is accepted, which clears `disputed`.
ALTER TABLE requests ADD COLUMN disputes int NOT NULL DEFAULT 0;

-- How a tenant's cells came about: by the days of which time zone; NULL: they are to be made anew. A tenant without a row has
-- none yet. Until they fit, figures are read from the requests themselves; the worker makes them anew (insight/kpis/ledger.py).
CREATE TABLE kpi_ledgers (
    tenant_id uuid PRIMARY KEY,
    time_zone text
);
ALTER TABLE kpi_ledgers ENABLE ROW LEVEL SECURITY;
ALTER TABLE kpi_ledgers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON kpi_ledgers USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON kpi_ledgers TO civicpulse_app;

-- A delta says when its request was created; of which day that is, is decided when it is read or folded. `day` is for the
-- release before, which folds by it.
ALTER TABLE kpi_deltas ADD COLUMN at timestamptz;

-- What a request adds to the ledger: said here only, for the view and for the trigger. Masters carry the work; duplicates are
-- counted apart, but a rating, a dispute or an escalation counts wherever it happened. What stands resolved is what
-- base/conditions.py says; a master that has ended otherwise (spam, cancelled) was promised nothing and met nothing.
CREATE FUNCTION kpi_measures(r requests) RETURNS TABLE (
    status text, bucket smallint, masters int, duplicates int, backlog int, resolved int, resolution_ms bigint, with_sla int, met int,
    missed int, on_time int, at_risk int, overdue int, breached int, escalations int, rating_1 int, rating_2 int, rating_3 int,
    rating_4 int, rating_5 int, disputes int)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN is_open THEN r.status ELSE '' END, CASE WHEN is_done THEN kpi_bucket(ms / 60000.0) END,
           is_master::int, (NOT is_master)::int, is_open::int, is_done::int, CASE WHEN is_done THEN ms ELSE 0 END,
           ((is_open OR is_done) AND r.sla_state <> 'no_sla')::int,
           (is_done AND coalesce(r.sla_met, false))::int, (is_done AND NOT coalesce(r.sla_met, true))::int,
           (is_open AND r.sla_state = 'on_time')::int, (is_open AND r.sla_state = 'at_risk')::int,
           (is_open AND r.sla_state = 'overdue')::int, (is_open AND r.sla_state = 'breached')::int, r.escalation_count,
           coalesce(r.rating = 1, false)::int, coalesce(r.rating = 2, false)::int, coalesce(r.rating = 3, false)::int,
           coalesce(r.rating = 4, false)::int, coalesce(r.rating = 5, false)::int, r.disputes
    FROM (SELECT r.master_id IS NULL AS is_master,
                 r.master_id IS NULL AND r.state_category IN ('open', 'waiting') AS is_open,
                 r.master_id IS NULL AND r.state_category IN ('resolved', 'closed') AND r.resolved_at IS NOT NULL
                     AND r.resolved_at >= r.created_at AS is_done,
                 (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint AS ms) AS a
$$;
DROP VIEW kpi_contributions;
CREATE VIEW kpi_contributions WITH (security_invoker = true) AS
SELECT r.tenant_id, r.id, r.created_at, r.zone_id, r.category, r.priority, r.is_public, r.created_by, r.citizen_id, r.assigned_agent_id,
       r.office_id, m.*
FROM requests r CROSS JOIN LATERAL kpi_measures(r) AS m;
GRANT SELECT ON kpi_contributions TO civicpulse_app;

-- The same for the row at hand, signed: minus what it was, plus what it is.
CREATE OR REPLACE FUNCTION note_kpis() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r requests; sign int;
    zone text := coalesce((SELECT time_zone FROM kpi_ledgers
                           WHERE tenant_id = CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END), 'UTC');
BEGIN
    FOR pass IN (CASE TG_OP WHEN 'INSERT' THEN 2 ELSE 1 END) .. (CASE TG_OP WHEN 'DELETE' THEN 1 ELSE 2 END) LOOP
        IF pass = 1 THEN r := OLD; sign := -1; ELSE r := NEW; sign := 1; END IF;
        INSERT INTO kpi_deltas (tenant_id, day, zone_id, category, priority, status, is_public, bucket, masters, duplicates, backlog,
            resolved, resolution_ms, with_sla, met, missed, on_time, at_risk, overdue, breached, escalations, rating_1, rating_2, rating_3,
            rating_4, rating_5, disputes, at)
        SELECT r.tenant_id, (r.created_at AT TIME ZONE zone)::date, r.zone_id, r.category, r.priority, m.status, r.is_public, m.bucket,
               sign * m.masters, sign * m.duplicates, sign * m.backlog, sign * m.resolved, sign * m.resolution_ms, sign * m.with_sla,
               sign * m.met, sign * m.missed, sign * m.on_time, sign * m.at_risk, sign * m.overdue, sign * m.breached,
               sign * m.escalations, sign * m.rating_1, sign * m.rating_2, sign * m.rating_3, sign * m.rating_4, sign * m.rating_5,
               sign * m.disputes, r.created_at
        FROM kpi_measures(r) AS m;
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER requests_kpis_changed AFTER UPDATE ON requests FOR EACH ROW
    WHEN ((OLD.zone_id, OLD.category, OLD.priority, OLD.status, OLD.state_category, OLD.is_public, OLD.master_id, OLD.created_at,
           OLD.resolved_at, OLD.sla_state, OLD.sla_met, OLD.escalation_count, OLD.rating, OLD.disputes)
          IS DISTINCT FROM
          (NEW.zone_id, NEW.category, NEW.priority, NEW.status, NEW.state_category, NEW.is_public, NEW.master_id, NEW.created_at,
           NEW.resolved_at, NEW.sla_state, NEW.sla_met, NEW.escalation_count, NEW.rating, NEW.disputes))
    EXECUTE FUNCTION note_kpis();

-- What was disputed before. The sums that are stored follow other rules: the worker makes each tenant's anew.
-- Tenant by tenant, because the row policy binds the owner too.
DO $$
DECLARE tenant uuid;
BEGIN
    FOR tenant IN SELECT t.tenant_id FROM gate_tenants() AS t LOOP
        PERFORM set_config('civicpulse.tenant', tenant::text, true);
        UPDATE requests r SET disputes = f.many
        FROM (SELECT request_id, count(*)::int AS many FROM feedback WHERE tenant_id = tenant AND dispute_flag GROUP BY request_id) AS f
        WHERE r.tenant_id = tenant AND r.id = f.request_id;
        INSERT INTO kpi_ledgers (tenant_id, time_zone) VALUES (tenant, NULL);
    END LOOP;
END $$;

-- The median of many: resolutions in the order of the time that they took, as the ledger counts it.
CREATE INDEX requests_resolution_ms ON requests (tenant_id, ((date_part('epoch', resolved_at - created_at) * 1000)::bigint))
    INCLUDE (created_at, resolved_at, zone_id, category, priority, is_public)
    WHERE master_id IS NULL AND state_category IN ('resolved', 'closed') AND resolved_at IS NOT NULL AND resolved_at >= created_at;
