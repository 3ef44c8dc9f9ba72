-- requests.request_id holds what people say ("CST-2026-000123") while request_id of every other table holds a uuid. From here on
-- the first is called number. This is the first of two steps: the release before this one runs on, reading and writing
-- request_id. Once it is gone, a later migration drops the trigger and the column with its index, gives the search
-- column number in its place, and takes request_id out of near_candidates.
-- All of this file may run twice: the rows are filled in transactions of their own after it, and that may be interrupted.
ALTER TABLE requests ADD COLUMN IF NOT EXISTS number text;

-- Whichever of the two is given fills the other; a number never changes afterwards.
CREATE OR REPLACE FUNCTION same_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.number := coalesce(NEW.number, NEW.request_id);
    NEW.request_id := NEW.number;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER requests_same_number BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION same_number();

-- As before, with the number under both names. Masters that a request of these categories at this place may be a twin of; one
-- may come twice, by place and by asset.
-- Plain SQL, so that it is planned as a part of who asks.
DROP FUNCTION IF EXISTS near_candidates(text[], bigint[], float8, float8, float8, text, text, timestamptz, timestamptz, timestamptz);
CREATE FUNCTION near_candidates(p_categories text[], p_cells bigint[], p_lon float8, p_lat float8, p_radius_m float8,
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
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
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
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
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
                left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
                r.status, r.number
         FROM requests r
         WHERE r.tenant_id = (SELECT current_tenant()) AND r.category = wanted.category AND r.asset_id = p_asset_id
           AND r.master_id IS NULL
           AND r.created_at >= p_since AND r.created_at <= p_until AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
         ORDER BY r.created_at DESC LIMIT 20
     ) AS same
     WHERE p_asset_id IS NOT NULL LIMIT 25)
$$;
GRANT EXECUTE ON FUNCTION near_candidates TO civicpulse_app;
