-- The public map also shows public duplicates of masters that the public does not see; they are few among these.
CREATE INDEX requests_open_duplicates ON requests (tenant_id, cell)
    INCLUDE (number, zone_id, category, priority, status, sla_state, created_at, lon, lat, is_public, master_id)
    WHERE state_category IN ('open', 'waiting') AND master_id IS NOT NULL AND is_public;
