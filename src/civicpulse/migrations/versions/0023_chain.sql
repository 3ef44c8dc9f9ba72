-- What of the row of its subject an event vouches for: a request's columns as the change left them, so that the row can be held
-- against the trail (audit/). Null in events that an earlier release writes. Sealed by the tenant's chain: the event's own hash stays
-- what it was, so that the release before verifies trails that this one writes.
ALTER TABLE events ADD COLUMN attests jsonb;

-- An event is never before its predecessor, whatever the clock of the machine that writes it says.
CREATE OR REPLACE FUNCTION seal_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE previous bytea; before timestamptz;
BEGIN
    IF NEW.seq > 1 THEN
        SELECT e.hash, e.at INTO previous, before FROM events e
        WHERE e.tenant_id = NEW.tenant_id AND e.subject_id = NEW.subject_id AND e.seq = NEW.seq - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'event % of % has no predecessor', NEW.seq, NEW.subject_id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        NEW.at := greatest(NEW.at, before);
    END IF;
    NEW.hash := event_hash(previous, NEW.tenant_id, NEW.subject_id, NEW.seq, NEW.subject_type, NEW.type,
                           NEW.actor_type, NEW.actor_id, NEW.at, NEW.meta);
    RETURN NEW;
END $$;

CREATE AGGREGATE jsonb_merged(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb);

-- Events that wait for their place in the tenant's chain, one row for each statement that wrote some: committed with them, so
-- that none is missed, however late its transaction commits. No key, as in `due`: a row is taken once, under the tenant's lock.
CREATE TABLE chain_waiting (
    tenant_id uuid NOT NULL,
    at        timestamptz NOT NULL,
    subjects  uuid[] NOT NULL,
    seqs      int[] NOT NULL
);
CREATE INDEX chain_waiting_at ON chain_waiting (tenant_id, at);
-- Rows live for seconds: without this the table would be mostly dead ones.
ALTER TABLE chain_waiting SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE FUNCTION await_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chain_waiting (tenant_id, at, subjects, seqs)
    SELECT a.tenant_id, clock_timestamp(), array_agg(a.subject_id), array_agg(a.seq) FROM added a GROUP BY a.tenant_id;
    RETURN NULL;
END $$;
CREATE TRIGGER events_await_chain AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION await_chain();

-- The chain of a tenant over all subjects: each block names its events in order, the root of the tree over their hashes, how
-- many events of each type the chain has up to here, and is sealed with the block before it (audit/chain.py).
CREATE TABLE chain_blocks (
    tenant_id uuid NOT NULL REFERENCES tenants,
    position  bigint NOT NULL CHECK (position > 0),
    subjects  uuid[] NOT NULL,
    seqs      int[] NOT NULL,
    root      bytea NOT NULL,
    counts    jsonb NOT NULL,
    at        timestamptz NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (tenant_id, position)
);
CREATE TRIGGER chain_blocks_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON chain_blocks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Checkpoints as they were signed; the copies that prove something lie outside the database.
CREATE TABLE checkpoints (
    tenant_id uuid NOT NULL REFERENCES tenants,
    number    bigint NOT NULL CHECK (number > 0),
    position  bigint NOT NULL,
    at        timestamptz NOT NULL,
    body      text NOT NULL,
    signature text NOT NULL,
    PRIMARY KEY (tenant_id, number)
);
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['chain_waiting', 'chain_blocks', 'checkpoints'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('CREATE POLICY gate ON %I FOR SELECT TO civicpulse_gate USING (true)', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO civicpulse_app', name);
        EXECUTE format('GRANT SELECT ON %I TO civicpulse_gate', name);
    END LOOP;
END $$;
GRANT DELETE ON chain_waiting TO civicpulse_app;

-- What is measured of all tenants: since when an event waits for the chain, and when the tenant was signed that was signed longest ago.
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_chain() RETURNS TABLE (waiting_since timestamptz, checkpoint_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT min(first.at) FROM tenants t CROSS JOIN LATERAL (
                SELECT w.at FROM chain_waiting w WHERE w.tenant_id = t.tenant_id ORDER BY w.at LIMIT 1) AS first),
           (SELECT min(last.at) FROM tenants t CROSS JOIN LATERAL (
                SELECT c.at FROM checkpoints c WHERE c.tenant_id = t.tenant_id ORDER BY c.number DESC LIMIT 1) AS last)
$$;
ALTER FUNCTION gate_chain() OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_chain() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_chain() TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
