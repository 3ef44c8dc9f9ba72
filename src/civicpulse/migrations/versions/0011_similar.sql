-- A report without coordinates is told by the place that it names or by the asset. Both are looked up as cells are: masters
-- of a category, newest first, bounded. `cell IS NULL` is in the key because a report with coordinates looks among those
-- without only: for the others their cells are surer.
CREATE INDEX requests_address ON requests (tenant_id, category, address_key, (cell IS NULL), created_at)
    WHERE master_id IS NULL AND address_key IS NOT NULL;
CREATE INDEX requests_asset ON requests (tenant_id, category, asset_id, created_at) WHERE master_id IS NULL AND asset_id IS NOT NULL;

-- Masters that a request of these categories at this place may be a twin of; one may come twice, by place and by asset.
-- Plain SQL, so that it is planned as a part of who asks.
CREATE FUNCTION near_candidates(p_categories text[], p_cells bigint[], p_lon float8, p_lat float8, p_radius_m float8,
                                p_address_key text, p_asset_id text, p_since timestamptz, p_until timestamptz,
                                p_closed_since timestamptz)
RETURNS TABLE (id uuid, request_id text, lon float8, lat float8, cell bigint, zone_id text, created_at timestamptz, category text,
               address_key text, asset_id text, text text, is_open boolean, closed_at timestamptz, is_public boolean, status text)
LANGUAGE sql STABLE AS $$
    (SELECT near.id, near.request_id, near.lon, near.lat, near.cell, near.zone_id, near.created_at, near.category, near.address_key,
            near.asset_id, near.text, near.is_open, near.closed_at, near.is_public, near.status
     FROM unnest(p_categories) AS wanted (category), unnest(p_cells) AS place (cell)
     CROSS JOIN LATERAL (
         -- Newest first and bounded: a place with thousands of open reports costs no more than a busy one.
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public, r.status,
                2 * 6371008.8 * asin(least(1, sqrt(sin(radians(r.lat - p_lat) / 2) ^ 2 + cos(radians(p_lat))
                    * cos(radians(r.lat)) * sin(radians(r.lon - p_lon) / 2) ^ 2))) AS metres
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.cell = place.cell AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS near
     WHERE near.metres <= p_radius_m * 1.01 ORDER BY near.metres LIMIT 25)
    UNION ALL
    (SELECT same.id, same.request_id, same.lon, same.lat, same.cell, same.zone_id, same.created_at, same.category, same.address_key,
            same.asset_id, same.text, same.is_open, same.closed_at, same.is_public, same.status
     FROM unnest(p_categories) AS wanted (category),
          unnest(CASE WHEN cardinality(p_cells) > 0 THEN ARRAY[true] ELSE ARRAY[true, false] END) AS where_is (unknown)
     CROSS JOIN LATERAL (
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public, r.status
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.address_key = p_address_key
           AND (r.cell IS NULL) = where_is.unknown AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS same
     WHERE p_address_key IS NOT NULL LIMIT 25)
    UNION ALL
    (SELECT same.id, same.request_id, same.lon, same.lat, same.cell, same.zone_id, same.created_at, same.category, same.address_key,
            same.asset_id, same.text, same.is_open, same.closed_at, same.is_public, same.status
     FROM unnest(p_categories) AS wanted (category)
     CROSS JOIN LATERAL (
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public, r.status
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.asset_id = p_asset_id
           AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS same
     WHERE p_asset_id IS NOT NULL LIMIT 25)
$$;
GRANT EXECUTE ON FUNCTION near_candidates TO civicpulse_app;

-- As before, with the two more ways to find a twin.
DROP FUNCTION intake_open(text, text, bigint, bigint[], text[], bigint[], float8, float8, float8, timestamptz, timestamptz);
CREATE FUNCTION intake_open(p_scope text, p_key text, p_key_lock bigint, p_place_locks bigint[], p_categories text[],
                            p_cells bigint[], p_lon float8, p_lat float8, p_radius_m float8, p_address_key text, p_asset_id text,
                            p_since timestamptz, p_closed_since timestamptz)
RETURNS TABLE (fingerprint bytea, answer text, number bigint, candidates json) LANGUAGE plpgsql
-- Planned once a connection: it is look-ups by index whatever the values, and to plan them took longer than to run them.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE place_lock bigint; tenant uuid := current_tenant();
BEGIN
    IF p_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(p_key_lock);
        SELECT k.fingerprint, k.answer INTO fingerprint, answer FROM idempotency_keys k
        WHERE k.tenant_id = tenant AND k.scope = p_scope AND k.key = p_key;
        IF FOUND THEN RETURN NEXT; RETURN; END IF;
    END IF;
    FOREACH place_lock IN ARRAY p_place_locks LOOP
        PERFORM pg_advisory_xact_lock(place_lock);
    END LOOP;
    -- Each SELECT inside sees what was committed while the locks were waited for.
    IF cardinality(p_place_locks) > 0 THEN
        SELECT json_agg(row_to_json(c)) INTO candidates FROM near_candidates(
            p_categories, p_cells, p_lon, p_lat, p_radius_m, p_address_key, p_asset_id, p_since, 'infinity', p_closed_since) AS c;
    END IF;
    number := nextval(('request_number_' || replace(tenant::text, '-', ''))::regclass);
    RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION intake_open TO civicpulse_app;

-- Staff's word on a pair, by saying so or by undoing a merge. The reason may be erased: it stands here and not in the trail.
ALTER TABLE duplicate_rejections
    ADD COLUMN kind text NOT NULL DEFAULT 'unmerged' CHECK (kind IN ('unmerged', 'rejected')),
    ADD COLUMN reason text;
CREATE INDEX duplicate_rejections_high ON duplicate_rejections (tenant_id, high_id);
GRANT DELETE ON duplicate_rejections TO civicpulse_app;

ALTER TABLE duplicate_links DROP CONSTRAINT duplicate_links_origin_check,
    ADD CONSTRAINT duplicate_links_origin_check CHECK (origin IN ('intake', 'staff', 'import', 'llm'));

-- What a language model thinks of a pair that was proposed. Rows come only where one is set.
CREATE TABLE duplicate_opinions (
    tenant_id   uuid NOT NULL,
    low_id      uuid NOT NULL,
    high_id     uuid NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'answered', 'failed')),
    score       jsonb NOT NULL, -- of the proposal: the model had no part in it
    verdict     text CHECK (verdict IN ('same', 'different', 'unsure')),
    confidence  double precision CHECK (confidence BETWEEN 0 AND 1),
    reason      text,
    engine      text NOT NULL DEFAULT 'llm',
    model       text,
    version     text,
    due_at      timestamptz DEFAULT now(), -- when to ask; while somebody asks, when the lease ends
    attempts    smallint NOT NULL DEFAULT 0,
    last_error  text,
    asked_at    timestamptz,
    answered_at timestamptz,
    PRIMARY KEY (tenant_id, low_id, high_id),
    CHECK (low_id < high_id),
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((state = 'answered') = (verdict IS NOT NULL)),
    FOREIGN KEY (tenant_id, low_id) REFERENCES requests,
    FOREIGN KEY (tenant_id, high_id) REFERENCES requests
);
CREATE INDEX duplicate_opinions_due ON duplicate_opinions (tenant_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX duplicate_opinions_high ON duplicate_opinions (tenant_id, high_id);

ALTER TABLE duplicate_opinions ENABLE ROW LEVEL SECURITY;
ALTER TABLE duplicate_opinions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON duplicate_opinions USING (tenant_id = (SELECT current_tenant()))
    WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON duplicate_opinions TO civicpulse_app;

-- Which tenants have pairs to ask about.
GRANT SELECT (tenant_id, due_at) ON duplicate_opinions TO civicpulse_gate;
CREATE POLICY gate ON duplicate_opinions FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_tenants_opinions() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS
        (SELECT 1 FROM duplicate_opinions o WHERE o.tenant_id = t.tenant_id AND o.due_at <= now())
$$;
ALTER FUNCTION gate_tenants_opinions() OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_tenants_opinions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_tenants_opinions() TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
