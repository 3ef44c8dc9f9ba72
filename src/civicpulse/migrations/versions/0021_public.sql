-- What the public reads of a request's texts, where that differs ({}: nowhere), and the words that staff has taken out of them. Null:
-- nobody has looked, as of the rows that are there and those that an earlier release writes. The worker looks at them soon; until then
-- their public wording is worked out when they are read, and the public's search leaves them out.
ALTER TABLE requests ADD COLUMN public_texts jsonb, ADD COLUMN redacted text[] NOT NULL DEFAULT '{}';
ALTER TABLE comments ADD COLUMN public_body text;
CREATE INDEX requests_unlooked ON requests (tenant_id, created_at, id) WHERE public_texts IS NULL;

-- The public's search reads what the public reads. Few rows have anything to hide: they have an index of their own.
CREATE INDEX requests_search_public ON requests USING gin (tenant_id, to_tsvector('simple',
    coalesce(public_texts ->> 'description', description) || ' ' || coalesce(public_texts ->> 'address_hint', address_hint, '') || ' ' || number))
    WHERE public_texts <> '{}';

-- Runs as gate_search does, for the same reason.
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_search_public(words text, most int) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT f.id FROM (
        SELECT r.id, r.created_at FROM requests r
        WHERE r.tenant_id = current_tenant() AND r.public_texts = '{}' AND r.search @@ websearch_to_tsquery('simple', words)
        UNION ALL
        SELECT r.id, r.created_at FROM requests r
        WHERE r.tenant_id = current_tenant() AND r.public_texts <> '{}' AND to_tsvector('simple',
            coalesce(r.public_texts ->> 'description', r.description) || ' ' || coalesce(r.public_texts ->> 'address_hint', r.address_hint, '')
            || ' ' || r.number) @@ websearch_to_tsquery('simple', words)
    ) AS f ORDER BY f.created_at DESC LIMIT most
$$;
ALTER FUNCTION gate_search_public(text, int) OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_search_public(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_search_public(text, int) TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;

-- As before, but texts are compared as the public reads them: how alike two texts are would tell what is hidden in one.
CREATE OR REPLACE FUNCTION near_candidates(p_categories text[], p_cells bigint[], p_lon float8, p_lat float8, p_radius_m float8,
                                p_address_key text, p_asset_id text, p_since timestamptz, p_until timestamptz,
                                p_closed_since timestamptz)
RETURNS TABLE (id uuid, request_id text, lon float8, lat float8, cell bigint, zone_id text, created_at timestamptz, category text,
               address_key text, asset_id text, text text, is_open boolean, closed_at timestamptz, is_public boolean, status text,
               number text)
LANGUAGE sql STABLE AS $$
    (SELECT near.id, near.request_id, near.lon, near.lat, near.cell, near.zone_id, near.created_at, near.category, near.address_key,
            near.asset_id, near.text, near.is_open, near.closed_at, near.is_public, near.status, near.number
     FROM unnest(p_categories) AS wanted (category), unnest(p_cells) AS place (cell)
     CROSS JOIN LATERAL (
         -- Newest first and bounded: a place with thousands of open reports costs no more than a busy one.
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(CASE WHEN r.public_texts IS NULL THEN '' ELSE coalesce(r.public_texts ->> 'description', r.description) END, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
                r.status, r.number,
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
            same.asset_id, same.text, same.is_open, same.closed_at, same.is_public, same.status, same.number
     FROM unnest(p_categories) AS wanted (category),
          unnest(CASE WHEN cardinality(p_cells) > 0 THEN ARRAY[true] ELSE ARRAY[true, false] END) AS where_is (unknown)
     CROSS JOIN LATERAL (
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(CASE WHEN r.public_texts IS NULL THEN '' ELSE coalesce(r.public_texts ->> 'description', r.description) END, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
                r.status, r.number
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.address_key = p_address_key
           AND (r.cell IS NULL) = where_is.unknown AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS same
     WHERE p_address_key IS NOT NULL LIMIT 25)
    UNION ALL
    (SELECT same.id, same.request_id, same.lon, same.lat, same.cell, same.zone_id, same.created_at, same.category, same.address_key,
            same.asset_id, same.text, same.is_open, same.closed_at, same.is_public, same.status, same.number
     FROM unnest(p_categories) AS wanted (category)
     CROSS JOIN LATERAL (
         SELECT r.id, r.request_id, r.lon, r.lat, r.cell, r.zone_id, r.created_at, r.category, r.address_key, r.asset_id,
                left(CASE WHEN r.public_texts IS NULL THEN '' ELSE coalesce(r.public_texts ->> 'description', r.description) END, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
                r.status, r.number
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.asset_id = p_asset_id
           AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS same
     WHERE p_asset_id IS NOT NULL LIMIT 25)
$$;
