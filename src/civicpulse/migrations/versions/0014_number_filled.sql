-- What takes time comes first: to build an index keeps writers out but not readers, the rest keeps both out and is short.
-- The name goes to the index of the new column. The old one stays, or the release before would read the whole tenant to find
-- one request.
ALTER INDEX requests_number RENAME TO requests_old_number;
CREATE UNIQUE INDEX requests_number ON requests (tenant_id, number);

-- The map reads the number from the index alone, as before.
ALTER INDEX requests_open RENAME TO requests_old_open;
CREATE INDEX requests_open ON requests (tenant_id, cell)
    INCLUDE (number, zone_id, category, priority, status, sla_state, created_at, lon, lat, is_public)
    WHERE state_category IN ('open', 'waiting') AND master_id IS NULL;

DROP INDEX requests_old_open;
ALTER TABLE requests ALTER COLUMN number SET NOT NULL;
