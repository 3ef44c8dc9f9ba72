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
