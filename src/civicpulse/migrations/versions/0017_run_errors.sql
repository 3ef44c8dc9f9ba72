-- Tenant by tenant, because the row policy binds the owner too. A run that is at work is locked for no longer than this.
DO $$
DECLARE tenant uuid; words text := '% its text was changed, its type, priority and manager were kept.';
BEGIN
    FOR tenant IN SELECT t.tenant_id FROM gate_tenants() AS t LOOP
        PERFORM set_config('civicpulse.tenant', tenant::text, true);
        UPDATE pipeline_runs p SET errors = (
            SELECT jsonb_agg(
                CASE WHEN e.fault ->> 'message' LIKE words AND NOT e.fault ? 'request_id'
                THEN e.fault || jsonb_build_object('request_id', split_part(e.fault ->> 'message', ' ', 1))
                ELSE e.fault END ORDER BY e.place)
            FROM jsonb_array_elements(p.errors) WITH ORDINALITY AS e (fault, place))
        WHERE p.tenant_id = tenant AND EXISTS (
            SELECT 1 FROM jsonb_array_elements(p.errors) AS e (fault)
            WHERE e.fault ->> 'message' LIKE words AND NOT e.fault ? 'request_id');
    END LOOP;
END $$;
