-- Committed batch by batch, so that nobody waits for more than a thousand rows; run again, it goes on where it was stopped.
-- Tenant by tenant, because the row policy binds the owner too. Rows are locked in the order that the service locks them in.
DO $$
DECLARE tenant uuid; ids uuid[]; last uuid;
BEGIN
    FOR tenant IN SELECT t.tenant_id FROM gate_tenants() AS t LOOP
        last := '00000000-0000-0000-0000-000000000000';
        LOOP
            PERFORM set_config('civicpulse.tenant', tenant::text, true);
            ids := ARRAY(SELECT r.id FROM requests r WHERE r.tenant_id = tenant AND r.id > last ORDER BY r.id LIMIT 1000);
            EXIT WHEN cardinality(ids) = 0;
            PERFORM 1 FROM requests r WHERE r.tenant_id = tenant AND r.id = ANY (ids) AND r.number IS NULL
            ORDER BY r.created_at, r.id FOR UPDATE;
            UPDATE requests r SET number = r.request_id WHERE r.tenant_id = tenant AND r.id = ANY (ids) AND r.number IS NULL;
            last := ids[cardinality(ids)];
            COMMIT;
        END LOOP;
    END LOOP;
END $$
