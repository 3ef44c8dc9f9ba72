-- What operators see of all tenants together. Processes say that they live by a row each; no tenant's data.
CREATE TABLE processes (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('api', 'worker')),
    started_at timestamptz NOT NULL,
    beat_at    timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON processes TO civicpulse_app;
-- A few rows that change by the second.
ALTER TABLE processes SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- What was given up is few rows, found without looking at the others.
CREATE INDEX outbox_parked ON outbox (tenant_id) WHERE parked_at IS NOT NULL;
CREATE INDEX reports_parked ON reports (tenant_id) WHERE state = 'parked';
CREATE INDEX notifications_parked ON notifications (tenant_id)
    WHERE next_try_at IS NULL AND sent_at IS NULL AND error IS NOT NULL AND title <> '';
CREATE INDEX pipeline_runs_failed ON pipeline_runs (tenant_id) WHERE state = 'failed';
CREATE INDEX duplicate_opinions_failed ON duplicate_opinions (tenant_id) WHERE state = 'failed';

GRANT SELECT (state) ON reports, pipeline_runs, duplicate_opinions TO civicpulse_gate;
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
-- Of each queue: how much is due, since when, and how much was given up. Only tenants that the directory names are looked at, by the
-- index of what is due: for the first of each, and to count no more than `most` rows. Of a queue without rows of its own its tenants
-- are counted.
CREATE FUNCTION gate_queues(moment timestamptz, most int) RETURNS TABLE (queue text, depth bigint, oldest timestamptz, parked bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE q record;
BEGIN
    FOR q IN SELECT v.name, v.place, v.due, v.waits, v.given_up FROM (VALUES
        ('outbox', 'outbox', 'available_at', 'r.parked_at IS NULL', 'r.parked_at IS NOT NULL'),
        ('reports', 'reports', 'due_at', 'true', $q$r.state = 'parked'$q$),
        ('runs', 'pipeline_runs', 'due_at', 'true', $q$r.state = 'failed'$q$),
        ('opinions', 'duplicate_opinions', 'due_at', 'true', $q$r.state = 'failed'$q$),
        ('notifications', 'notifications', 'next_try_at', 'true',
         $q$r.next_try_at IS NULL AND r.sent_at IS NULL AND r.error IS NOT NULL AND r.title <> ''$q$),
        ('clocks', 'requests', 'next_sla_at', 'true', 'false'),
        ('chain', 'chain_waiting', 'at', 'true', 'false')
    ) AS v (name, place, due, waits, given_up)
    LOOP
        RETURN QUERY EXECUTE format(
            'WITH busy AS (SELECT DISTINCT d.tenant_id FROM due d WHERE d.queue = %1$L AND d.due_at <= $1) '
            'SELECT %1$L, (SELECT count(*) FROM (SELECT 1 FROM busy b CROSS JOIN LATERAL (SELECT 1 FROM %2$I r '
            'WHERE r.tenant_id = b.tenant_id AND r.%3$I <= $1 AND %4$s LIMIT $2) AS n LIMIT $2) AS few), '
            '(SELECT min(f.due) FROM busy b CROSS JOIN LATERAL (SELECT r.%3$I AS due FROM %2$I r '
            'WHERE r.tenant_id = b.tenant_id AND r.%3$I <= $1 AND %4$s ORDER BY r.%3$I LIMIT 1) AS f), '
            '(SELECT count(*) FROM (SELECT 1 FROM %2$I r WHERE %5$s LIMIT $2) AS p)',
            q.name, q.place, q.due, q.waits, q.given_up) USING moment, most;
    END LOOP;
    RETURN QUERY SELECT d.queue, count(DISTINCT d.tenant_id), min(d.due_at), 0::bigint FROM due d
        WHERE d.due_at <= moment
          AND d.queue <> ALL (ARRAY['outbox', 'reports', 'runs', 'opinions', 'notifications', 'clocks', 'chain'])
        GROUP BY d.queue;
END $$;
ALTER FUNCTION gate_queues(timestamptz, int) OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_queues(timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_queues(timestamptz, int) TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
