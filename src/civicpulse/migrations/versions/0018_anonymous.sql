-- An anonymous report named its citizen in created_by, in reports.actor_id, in the scope of a kept answer and beside a merge.
-- Committed tenant by tenant; run again, it finds nothing more to do. Tenant by tenant, because the row policy binds the owner
-- too. What the trail says cannot be changed: views leave it out (docs/adr, "What the public reads").
DO $$
DECLARE tenant uuid;
BEGIN
    FOR tenant IN SELECT t.tenant_id FROM gate_tenants() AS t LOOP
        PERFORM set_config('civicpulse.tenant', tenant::text, true);
        UPDATE duplicate_links l SET merged_by = 'anonymous'
        FROM requests r, citizens c
        WHERE l.tenant_id = tenant AND r.tenant_id = tenant AND r.id = l.duplicate_id AND r.citizen_id IS NULL
          AND c.tenant_id = tenant AND l.merged_by = 'citizen:' || c.id;
        UPDATE requests r SET created_by = 'anonymous'
        FROM citizens c
        WHERE r.tenant_id = tenant AND r.citizen_id IS NULL AND c.tenant_id = tenant AND r.created_by = 'citizen:' || c.id;
        DELETE FROM idempotency_keys k USING citizens c, reports p
        WHERE k.tenant_id = tenant AND c.tenant_id = tenant AND k.scope = 'reports:citizen:' || c.id
          AND p.tenant_id = tenant AND p.citizen_id IS NULL AND p.id::text = k.answer::json ->> 'id';
        DELETE FROM idempotency_keys k USING citizens c
        WHERE k.tenant_id = tenant AND c.tenant_id = tenant AND k.scope = 'requests:citizen:' || c.id
          AND (k.answer::json -> 'citizen_ref' ->> 'anonymous')::boolean;
        UPDATE reports p SET actor_id = NULL
        FROM citizens c
        WHERE p.tenant_id = tenant AND p.citizen_id IS NULL AND c.tenant_id = tenant AND p.actor_id = c.id::text;
        COMMIT;
    END LOOP;
END $$
