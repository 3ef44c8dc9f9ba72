-- Offices, what a distribution over them needs to know of agents and requests, whose turn it is, and answers of the
-- online geocoder.

CREATE TABLE offices (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (name <> ''), -- the natural key
    address     text NOT NULL DEFAULT '',
    lon         double precision CHECK (lon BETWEEN -180 AND 180),
    lat         double precision CHECK (lat BETWEEN -90 AND 90),
    geo_quality text CHECK (geo_quality IN ('house', 'town', 'region', 'none')), -- null: not looked for yet
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    CHECK ((lon IS NULL) = (lat IS NULL))
);

-- An agent's load is base_load, the work that came with them from elsewhere, plus the open requests assigned here.
ALTER TABLE agents
    ADD COLUMN office_id uuid,
    ADD COLUMN position  text,
    ADD COLUMN base_load int NOT NULL DEFAULT 0 CHECK (base_load >= 0),
    ADD FOREIGN KEY (tenant_id, office_id) REFERENCES offices;
CREATE UNIQUE INDEX agents_of_office ON agents (tenant_id, office_id, name) WHERE office_id IS NOT NULL;

-- What a distribution asks of a request besides category, priority and place; the language is that of its analysis.
ALTER TABLE requests
    ADD COLUMN segment      text,
    ADD COLUMN country_code text,
    ADD COLUMN geo_quality  text CHECK (geo_quality IN ('house', 'town', 'region', 'none')),
    ADD COLUMN office_id    uuid,
    ADD FOREIGN KEY (tenant_id, office_id) REFERENCES offices;
CREATE INDEX requests_office ON requests (tenant_id, office_id, created_at, id) WHERE office_id IS NOT NULL;

ALTER TABLE assignments
    ADD COLUMN office_id uuid,
    ADD COLUMN steps     jsonb NOT NULL DEFAULT '[]',
    ADD FOREIGN KEY (tenant_id, office_id) REFERENCES offices;

CREATE TABLE distribution_state (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    state      jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE geocodes (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    query        text NOT NULL,
    lon          double precision,
    lat          double precision,
    quality      text NOT NULL CHECK (quality IN ('house', 'town', 'region', 'none')),
    country_code text,
    matched      text,
    asked_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, query)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['offices', 'distribution_state', 'geocodes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT current_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT current_tenant()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO civicpulse_app', name);
    END LOOP;
END $$;
GRANT DELETE ON geocodes TO civicpulse_app;
