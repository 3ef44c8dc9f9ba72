-- The application logs in as civicpulse_app (base/logins.py). What looks across tenants tells it no tenant's secret any more:
-- each is read under the tenant's own binding. The release before logs in as the owner, who could read them anyway, and asks
-- here for them; the column goes when that release is out of use.
CREATE OR REPLACE FUNCTION gate_tenants() RETURNS TABLE (tenant_id uuid, slug text, name text, kind text, pack_version int, zones_version int, secret bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id, t.slug, t.name, t.kind, t.pack_version, t.zones_version,
           CASE WHEN pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = 'tenants'::regclass), 'MEMBER')
                THEN t.secret END
    FROM tenants t ORDER BY t.created_at, t.slug
$$;
