-- The median is looked up past the row policy, which keeps an index from comparing what is computed from two columns: that is
-- not leakproof. The tenant is bound explicitly, and only the times at the wanted rank come out: `p_many` of them after
-- `p_passed` others, from `p_bound` on upwards, or from below it downwards. A list that is NULL narrows nothing.
GRANT CREATE ON SCHEMA public TO civicpulse_gate;
CREATE FUNCTION gate_resolution_ms(p_bound bigint, p_is_down boolean, p_passed bigint, p_many int, p_since timestamptz,
                                   p_until timestamptz, p_zones text[], p_categories text[], p_priorities text[], p_public_only boolean)
RETURNS TABLE (ms bigint)
-- Planned with the values at hand: what narrows nothing is not in the plan, and the bound is weighed as what it is.
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF p_is_down THEN
        RETURN QUERY
        SELECT (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint AS took FROM requests r
        WHERE r.tenant_id = current_tenant() AND (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint < p_bound
          AND r.master_id IS NULL AND r.state_category IN ('resolved', 'closed') AND r.resolved_at IS NOT NULL
          AND r.resolved_at >= r.created_at AND r.created_at >= p_since AND r.created_at < p_until
          AND (p_zones IS NULL OR r.zone_id = ANY(p_zones)) AND (p_categories IS NULL OR r.category = ANY(p_categories))
          AND (p_priorities IS NULL OR r.priority = ANY(p_priorities)) AND (NOT p_public_only OR r.is_public)
        ORDER BY took DESC OFFSET p_passed LIMIT p_many;
    ELSE
        RETURN QUERY
        SELECT (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint AS took FROM requests r
        WHERE r.tenant_id = current_tenant() AND (date_part('epoch', r.resolved_at - r.created_at) * 1000)::bigint >= p_bound
          AND r.master_id IS NULL AND r.state_category IN ('resolved', 'closed') AND r.resolved_at IS NOT NULL
          AND r.resolved_at >= r.created_at AND r.created_at >= p_since AND r.created_at < p_until
          AND (p_zones IS NULL OR r.zone_id = ANY(p_zones)) AND (p_categories IS NULL OR r.category = ANY(p_categories))
          AND (p_priorities IS NULL OR r.priority = ANY(p_priorities)) AND (NOT p_public_only OR r.is_public)
        ORDER BY took OFFSET p_passed LIMIT p_many;
    END IF;
END $$;
ALTER FUNCTION gate_resolution_ms(bigint, boolean, bigint, int, timestamptz, timestamptz, text[], text[], text[], boolean)
    OWNER TO civicpulse_gate;
REVOKE ALL ON FUNCTION gate_resolution_ms(bigint, boolean, bigint, int, timestamptz, timestamptz, text[], text[], text[], boolean)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate_resolution_ms(bigint, boolean, bigint, int, timestamptz, timestamptz, text[], text[], text[], boolean)
    TO civicpulse_app;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;
