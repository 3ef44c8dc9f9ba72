-- Roles. civicpulse_app serves every request and owns nothing; civicpulse_gate owns the few functions that must look
-- across tenants (who holds this token, which tenants have work) and the text search. Neither may log in.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['civicpulse_app', 'civicpulse_gate'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster made it
        END;
        IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
    END LOOP;
END $$;

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO civicpulse_app, civicpulse_gate;

CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('civicpulse.tenant', true), '')::uuid;

-- ---------------------------------------------------------------------------------------------------- tenants, callers

CREATE TABLE tenants (
    tenant_id     uuid PRIMARY KEY,
    slug          text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name          text NOT NULL,
    kind          text NOT NULL DEFAULT 'city' CHECK (kind IN ('city', 'building', 'campus', 'hotel', 'facility', 'company')),
    pack_version  int NOT NULL,
    zones_version int NOT NULL DEFAULT 0,
    secret        bytea NOT NULL CHECK (length(secret) >= 32), -- signs tracking links
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pack_versions (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    version    int NOT NULL,
    document   jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

CREATE TABLE tokens (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    token_id   uuid NOT NULL,
    token_hash bytea NOT NULL,
    role       text NOT NULL CHECK (role IN ('citizen', 'agent', 'dispatcher', 'supervisor', 'admin', 'system')),
    actor_id   uuid,
    label      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, token_id)
);
CREATE UNIQUE INDEX tokens_hash ON tokens (token_hash);

CREATE TABLE citizens (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    full_name       text,
    verified        boolean NOT NULL DEFAULT false,
    verify_method   text,
    verified_at     timestamptz,
    email           text,
    phone           text,
    preferences     jsonb NOT NULL,
    neighborhood    text,
    city            text,
    zone_id         text,
    created_at      timestamptz NOT NULL,
    erased_at       timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX citizens_email ON citizens (tenant_id, email) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX citizens_phone ON citizens (tenant_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX citizens_verified ON citizens (tenant_id, verified);
CREATE INDEX citizens_zone ON citizens (tenant_id, zone_id) WHERE zone_id IS NOT NULL;

CREATE TABLE otp_challenges (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    citizen_id  uuid NOT NULL,
    channel     text NOT NULL CHECK (channel IN ('email', 'sms')),
    code_hash   text NOT NULL,
    tries_left  smallint NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    consumed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, citizen_id) REFERENCES citizens
);
CREATE INDEX otp_citizen ON otp_challenges (tenant_id, citizen_id, created_at DESC);

CREATE TABLE agents (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    id               uuid NOT NULL,
    agent_code       text NOT NULL,
    name             text NOT NULL,
    department       text NOT NULL DEFAULT '',
    skills           text[] NOT NULL DEFAULT '{}',
    zone_ids         text[] NOT NULL DEFAULT '{}',
    geo_fence        jsonb,
    timezone         text NOT NULL,
    shifts           jsonb NOT NULL DEFAULT '[]',
    on_call          boolean NOT NULL DEFAULT false,
    contacts         jsonb NOT NULL DEFAULT '{}',
    roles            text[] NOT NULL DEFAULT '{agent}',
    active           boolean NOT NULL DEFAULT true,
    last_assigned_at timestamptz,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX agents_code ON agents (tenant_id, agent_code);
CREATE INDEX agents_zones ON agents USING gin (tenant_id, zone_ids);

-- -------------------------------------------------------------------------------------------------------------- places

CREATE TABLE zones (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    zone_id    text NOT NULL,
    name       text NOT NULL,
    geometry   jsonb NOT NULL,
    properties jsonb NOT NULL DEFAULT '{}',
    repaired   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, zone_id)
);

-- ------------------------------------------------------------------------------------------------------------ requests

CREATE TABLE requests (
    tenant_id         uuid NOT NULL REFERENCES tenants,
    id                uuid NOT NULL,
    request_id        text NOT NULL,
    version           int NOT NULL DEFAULT 1,
    event_seq         int NOT NULL DEFAULT 1,
    pack_version      int NOT NULL,
    source            text NOT NULL DEFAULT 'api',
    external_id       text,
    citizen_id        uuid,
    anonymous         boolean NOT NULL DEFAULT true,
    created_by        text NOT NULL DEFAULT 'anonymous',
    contact_channel   text NOT NULL DEFAULT 'none' CHECK (contact_channel IN ('email', 'sms', 'none')),
    is_public         boolean NOT NULL DEFAULT true,
    category          text NOT NULL,
    sub_category      text,
    description       text NOT NULL,
    tags              text[] NOT NULL DEFAULT '{}',
    status            text NOT NULL,
    state_category    text NOT NULL CHECK (state_category IN ('open', 'waiting', 'resolved', 'closed')),
    priority          text NOT NULL CHECK (priority IN ('P1', 'P2', 'P3', 'P4')),
    priority_score    smallint NOT NULL,
    lon               double precision CHECK (lon BETWEEN -180 AND 180),
    lat               double precision CHECK (lat BETWEEN -90 AND 90),
    cell              bigint,
    address_hint      text,
    address_key       text,
    asset_id          text,
    zone_id           text NOT NULL DEFAULT 'UNZONED',
    master_id         uuid,
    assigned_agent_id uuid,
    candidate_agents  uuid[] NOT NULL DEFAULT '{}',
    assignment_policy text,
    sla               jsonb,
    sla_state         text NOT NULL DEFAULT 'no_sla'
        CHECK (sla_state IN ('on_time', 'at_risk', 'overdue', 'breached', 'completed', 'no_sla')),
    sla_due_at        timestamptz,
    sla_met           boolean,
    sla_pauses        jsonb NOT NULL DEFAULT '[]',
    sla_steps_fired   smallint NOT NULL DEFAULT 0,
    next_sla_at       timestamptz,
    escalation_count  int NOT NULL DEFAULT 0,
    breach_reason     text,
    milestones        jsonb NOT NULL DEFAULT '{}',
    rating            smallint CHECK (rating BETWEEN 1 AND 5),
    disputed          boolean NOT NULL DEFAULT false,
    notes             text[] NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL,
    triaged_at        timestamptz,
    assigned_at       timestamptz,
    in_progress_at    timestamptz,
    resolved_at       timestamptz,
    closed_at         timestamptz,
    updated_at        timestamptz NOT NULL,
    search            tsvector GENERATED ALWAYS AS
        (to_tsvector('simple', description || ' ' || coalesce(address_hint, '') || ' ' || request_id)) STORED,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, citizen_id) REFERENCES citizens,
    FOREIGN KEY (tenant_id, assigned_agent_id) REFERENCES agents,
    FOREIGN KEY (tenant_id, master_id) REFERENCES requests
);
-- No foreign key to zones: a check per intake would queue all reports of one zone on that zone's row lock.
CREATE UNIQUE INDEX requests_number ON requests (tenant_id, request_id);
CREATE UNIQUE INDEX requests_external ON requests (tenant_id, source, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX requests_created ON requests (tenant_id, created_at, id);
CREATE INDEX requests_updated ON requests (tenant_id, updated_at, id);
CREATE INDEX requests_status ON requests (tenant_id, status, created_at, id);
CREATE INDEX requests_category ON requests (tenant_id, category, created_at, id);
CREATE INDEX requests_zone ON requests (tenant_id, zone_id, created_at, id);
CREATE INDEX requests_priority ON requests (tenant_id, priority, created_at, id);
CREATE INDEX requests_agent ON requests (tenant_id, assigned_agent_id, created_at, id) WHERE assigned_agent_id IS NOT NULL;
CREATE INDEX requests_agent_open ON requests (tenant_id, assigned_agent_id)
    WHERE assigned_agent_id IS NOT NULL AND master_id IS NULL AND state_category IN ('open', 'waiting');
CREATE INDEX requests_citizen ON requests (tenant_id, citizen_id, created_at, id) WHERE citizen_id IS NOT NULL;
CREATE INDEX requests_reporter ON requests (tenant_id, created_by, created_at, id) WHERE created_by <> 'anonymous';
CREATE INDEX requests_source ON requests (tenant_id, source, created_at, id);
CREATE INDEX requests_place ON requests (tenant_id, lat, lon);
CREATE INDEX requests_duplicates ON requests (tenant_id, master_id, created_at, id) WHERE master_id IS NOT NULL;
CREATE INDEX requests_candidates ON requests (tenant_id, category, cell, created_at) WHERE master_id IS NULL AND cell IS NOT NULL;
CREATE INDEX requests_due ON requests (tenant_id, next_sla_at) WHERE next_sla_at IS NOT NULL;
CREATE INDEX requests_search ON requests USING gin (tenant_id, search);

-- A duplicate's way back: what it was before it was merged, so that a merge can be undone.
CREATE TABLE duplicate_links (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    duplicate_id uuid NOT NULL,
    master_id    uuid NOT NULL,
    origin       text NOT NULL CHECK (origin IN ('intake', 'staff', 'import')),
    score        jsonb,
    prior        jsonb NOT NULL,
    merged_at    timestamptz NOT NULL,
    merged_by    text NOT NULL,
    undone_at    timestamptz,
    undone_by    text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, duplicate_id) REFERENCES requests,
    FOREIGN KEY (tenant_id, master_id) REFERENCES requests
);
CREATE UNIQUE INDEX duplicate_links_active ON duplicate_links (tenant_id, duplicate_id) WHERE undone_at IS NULL;
CREATE INDEX duplicate_links_master ON duplicate_links (tenant_id, master_id) WHERE undone_at IS NULL;

CREATE TABLE duplicate_rejections (
    tenant_id   uuid NOT NULL,
    low_id      uuid NOT NULL,
    high_id     uuid NOT NULL,
    rejected_at timestamptz NOT NULL,
    rejected_by text NOT NULL,
    PRIMARY KEY (tenant_id, low_id, high_id),
    CHECK (low_id < high_id),
    FOREIGN KEY (tenant_id, low_id) REFERENCES requests,
    FOREIGN KEY (tenant_id, high_id) REFERENCES requests
);

CREATE TABLE comments (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    request_id  uuid NOT NULL,
    parent_id   uuid,
    author_type text NOT NULL,
    author_id   text,
    is_internal boolean NOT NULL DEFAULT false,
    body        text,
    created_at  timestamptz NOT NULL,
    erased_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests,
    FOREIGN KEY (tenant_id, parent_id) REFERENCES comments
);
CREATE INDEX comments_request ON comments (tenant_id, request_id, created_at, id);

CREATE TABLE feedback (
    tenant_id    uuid NOT NULL,
    request_id   uuid NOT NULL,
    rating       smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    reason_codes text[] NOT NULL DEFAULT '{}',
    comment      text,
    dispute_flag boolean NOT NULL DEFAULT false,
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);

CREATE TABLE evidence (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    request_id  uuid NOT NULL,
    type        text NOT NULL CHECK (type IN ('photo', 'video', 'file')),
    url         text NOT NULL,
    sha256      text NOT NULL,
    media_type  text, -- set for files that we keep ourselves
    file_name   text,
    uploaded_by text NOT NULL CHECK (uploaded_by IN ('citizen', 'agent', 'staff')),
    uploaded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);
CREATE INDEX evidence_request ON evidence (tenant_id, request_id, uploaded_at, id);

CREATE TABLE assignments (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    request_id  uuid NOT NULL,
    agent_id    uuid,
    policy      text NOT NULL,
    reason      text NOT NULL,
    candidates  jsonb NOT NULL DEFAULT '[]',
    failures    jsonb NOT NULL DEFAULT '[]',
    decided_at  timestamptz NOT NULL,
    decided_by  text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);
CREATE INDEX assignments_request ON assignments (tenant_id, request_id, decided_at DESC);

CREATE TABLE escalations (
    tenant_id    uuid NOT NULL,
    request_id   uuid NOT NULL,
    pack_version int NOT NULL,
    policy_id    text NOT NULL,
    step         smallint NOT NULL,
    action       text NOT NULL,
    role         text,
    due_at       timestamptz NOT NULL,
    fired_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id, pack_version, policy_id, step),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);

-- -------------------------------------------------------------------------------------------------------------- events

-- subject_id is the request, citizen, agent or tenant that the event is about; seq counts from 1 within it, without gaps.
CREATE TABLE events (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    subject_id   uuid NOT NULL,
    seq          int NOT NULL CHECK (seq > 0),
    subject_type text NOT NULL DEFAULT 'request' CHECK (subject_type IN ('request', 'citizen', 'agent', 'tenant')),
    type         text NOT NULL,
    actor_type   text NOT NULL CHECK (actor_type IN ('citizen', 'dispatcher', 'agent', 'system')),
    actor_id     text,
    at           timestamptz NOT NULL,
    meta         jsonb NOT NULL DEFAULT '{}',
    hash         bytea NOT NULL,
    PRIMARY KEY (tenant_id, subject_id, seq)
);

CREATE FUNCTION event_hash(previous bytea, tenant_id uuid, subject_id uuid, seq int, subject_type text, type text,
                           actor_type text, actor_id text, at timestamptz, meta jsonb)
-- STABLE, as convert_to is: declared stricter than its parts it could not be inlined, and would cost twice as much.
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || convert_to(
        tenant_id::text || E'\x1f' || subject_id::text || E'\x1f' || seq::text || E'\x1f' || subject_type || E'\x1f' || type
        || E'\x1f' || actor_type || E'\x1f' || coalesce(actor_id, E'\x1e') || E'\x1f'
        || (extract(epoch FROM at) * 1000000)::bigint::text || E'\x1f' || meta::text, 'UTF8'))
$$;

CREATE FUNCTION seal_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE previous bytea;
BEGIN
    IF NEW.seq > 1 THEN
        SELECT e.hash INTO previous FROM events e
        WHERE e.tenant_id = NEW.tenant_id AND e.subject_id = NEW.subject_id AND e.seq = NEW.seq - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'event % of % has no predecessor', NEW.seq, NEW.subject_id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    NEW.hash := event_hash(previous, NEW.tenant_id, NEW.subject_id, NEW.seq, NEW.subject_type, NEW.type,
                           NEW.actor_type, NEW.actor_id, NEW.at, NEW.meta);
    RETURN NEW;
END $$;
CREATE TRIGGER events_seal BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION seal_event();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pack_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pack_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a committed event still has to set off; the worker drains it in batches.
CREATE TABLE outbox (
    tenant_id    uuid NOT NULL,
    subject_id   uuid NOT NULL,
    seq          int NOT NULL,
    type         text NOT NULL,
    available_at timestamptz NOT NULL DEFAULT now(),
    attempts     smallint NOT NULL DEFAULT 0,
    last_error   text,
    parked_at    timestamptz,
    PRIMARY KEY (tenant_id, subject_id, seq)
);
CREATE INDEX outbox_due ON outbox (tenant_id, available_at) WHERE parked_at IS NULL;

CREATE TABLE idempotency_keys (
    tenant_id   uuid NOT NULL,
    scope       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    answer      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scope, key)
);
CREATE INDEX idempotency_age ON idempotency_keys USING brin (created_at);

CREATE TABLE notifications (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    subject_id     uuid NOT NULL,
    seq            int NOT NULL,
    recipient_type text NOT NULL CHECK (recipient_type IN ('citizen', 'agent', 'role')),
    recipient      text NOT NULL,
    channel        text NOT NULL,
    title          text NOT NULL,
    body           text NOT NULL,
    created_at     timestamptz NOT NULL,
    sent_at        timestamptz,
    error          text,
    attempts       smallint NOT NULL DEFAULT 0,
    next_try_at    timestamptz, -- null: sent, given up, or nothing to send
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, subject_id, seq, recipient_type, recipient, channel)
);
CREATE INDEX notifications_due ON notifications (tenant_id, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX notifications_recipient ON notifications (tenant_id, recipient_type, recipient, id);

CREATE TABLE import_runs (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    kind        text NOT NULL,
    source      text NOT NULL,
    mapping     text,
    state       text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    counts      jsonb NOT NULL DEFAULT '{}',
    errors      jsonb NOT NULL DEFAULT '[]',
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE geo_feeds (
    tenant_id    uuid NOT NULL,
    feed_name    text NOT NULL,
    filters_key  text NOT NULL,
    filters      jsonb NOT NULL,
    generated_at timestamptz NOT NULL,
    aggregation  jsonb NOT NULL,
    geojson      json NOT NULL,
    etag         text NOT NULL,
    PRIMARY KEY (tenant_id, feed_name, filters_key)
);

-- ------------------------------------------------------------------------------------- forced row-level security, rights

DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        -- The sub-select makes the tenant a constant of the plan instead of a function call per row.
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
REVOKE UPDATE, DELETE, TRUNCATE ON events, pack_versions FROM PUBLIC, civicpulse_app;
GRANT DELETE ON outbox, idempotency_keys, geo_feeds, otp_challenges, zones TO civicpulse_app;

-- ----------------------------------------------------------------------------------------------- across tenants: the gate

GRANT SELECT ON tenants, tokens, requests, outbox, notifications TO civicpulse_gate;
CREATE POLICY gate ON tenants FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON tokens FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON requests FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON outbox FOR SELECT TO civicpulse_gate USING (true);
CREATE POLICY gate ON notifications FOR SELECT TO civicpulse_gate USING (true);
GRANT CREATE ON SCHEMA public TO civicpulse_gate;

CREATE FUNCTION gate_tenants() RETURNS TABLE (tenant_id uuid, slug text, name text, kind text, pack_version int, zones_version int, secret bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id, t.slug, t.name, t.kind, t.pack_version, t.zones_version, t.secret FROM tenants t ORDER BY t.created_at, t.slug
$$;

CREATE FUNCTION gate_token(wanted bytea) RETURNS TABLE (tenant_id uuid, token_id uuid, role text, actor_id uuid, label text, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.tenant_id, k.token_id, k.role, k.actor_id, k.label, k.expires_at FROM tokens k
    WHERE k.token_hash = wanted AND k.revoked_at IS NULL
$$;

CREATE FUNCTION gate_tenants_due(at timestamptz) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS
        (SELECT 1 FROM requests r WHERE r.tenant_id = t.tenant_id AND r.next_sla_at <= at)
$$;

CREATE FUNCTION gate_tenants_outbox() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS
        (SELECT 1 FROM outbox o WHERE o.tenant_id = t.tenant_id AND o.available_at <= now() AND o.parked_at IS NULL)
$$;

CREATE FUNCTION gate_tenants_notifications() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant_id FROM tenants t WHERE EXISTS
        (SELECT 1 FROM notifications n WHERE n.tenant_id = t.tenant_id AND n.next_try_at <= now())
$$;

-- Text search runs here because @@ is not leakproof: under a row policy it could never use the index. The tenant is
-- bound explicitly, and only ids come out.
CREATE FUNCTION gate_search(words text, most int) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.id FROM requests r
    WHERE r.tenant_id = current_tenant() AND r.search @@ websearch_to_tsquery('simple', words)
    ORDER BY r.created_at DESC LIMIT most
$$;

DO $$
DECLARE signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY['gate_tenants()', 'gate_token(bytea)', 'gate_tenants_due(timestamptz)',
                                     'gate_tenants_outbox()',
                                     'gate_tenants_notifications()', 'gate_search(text, int)'] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO civicpulse_gate', signature);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO civicpulse_app', signature);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM civicpulse_gate;

-- -------------------------------------------------------------------------------------------------------- intake, opened

-- The first of the intake's two round trips: queue behind callers with the same key and behind reports of the same kind
-- at the same place, then look for a stored answer and for requests this one may be a twin of, then take a number.
-- Each SELECT inside sees what was committed while the locks were waited for.
CREATE FUNCTION intake_open(p_scope text, p_key text, p_key_lock bigint, p_place_locks bigint[], p_categories text[],
                            p_cells bigint[], p_lon float8, p_lat float8, p_radius_m float8,
                            p_since timestamptz, p_closed_since timestamptz)
RETURNS TABLE (fingerprint bytea, answer text, number bigint, candidates json) LANGUAGE plpgsql AS $$
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
    IF cardinality(p_cells) > 0 THEN
        SELECT json_agg(row_to_json(c)) INTO candidates FROM (
            SELECT near.id, near.request_id, near.lon, near.lat, near.created_at, near.category, near.address_key, near.asset_id,
                   near.text, near.is_open, near.closed_at, near.is_public
            FROM unnest(p_categories) AS wanted (category), unnest(p_cells) AS place (cell)
            CROSS JOIN LATERAL (
                -- Newest first and bounded: a place with thousands of open reports costs no more than a busy one.
                SELECT r.id, r.request_id, r.lon, r.lat, r.created_at, r.category, r.address_key, r.asset_id,
                       left(r.description, 500) AS text, r.state_category IN ('open', 'waiting') AS is_open, r.closed_at, r.is_public,
                       2 * 6371008.8 * asin(least(1, sqrt(sin(radians(r.lat - p_lat) / 2) ^ 2 + cos(radians(p_lat))
                           * cos(radians(r.lat)) * sin(radians(r.lon - p_lon) / 2) ^ 2))) AS metres
                FROM requests r
                WHERE r.tenant_id = tenant AND r.category = wanted.category AND r.cell = place.cell AND r.master_id IS NULL
                  AND r.created_at >= p_since AND (r.closed_at IS NULL OR r.closed_at >= p_closed_since)
                ORDER BY r.created_at DESC LIMIT 20
            ) AS near
            WHERE near.metres <= p_radius_m * 1.01 ORDER BY near.metres LIMIT 25
        ) AS c;
    END IF;
    number := nextval(('request_number_' || replace(tenant::text, '-', ''))::regclass);
    RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION intake_open TO civicpulse_app;

CREATE FUNCTION create_request_numbers(tenant uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text := 'request_number_' || replace(tenant::text, '-', '');
BEGIN
    EXECUTE format('CREATE SEQUENCE %I AS bigint', name);
    EXECUTE format('GRANT USAGE, SELECT, UPDATE ON SEQUENCE %I TO civicpulse_app', name);
END $$;
REVOKE ALL ON FUNCTION create_request_numbers FROM PUBLIC;
