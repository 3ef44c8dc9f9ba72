-- What language models are asked is bounded over all processes, can be read with what was masked, and held against the offline engine.

-- Places for something dear, so many for each tenant over all processes: who holds one has it until then, at the longest.
CREATE TABLE seats (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    name       text NOT NULL,
    place      smallint NOT NULL,
    holder     uuid,
    held_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name, place)
);
ALTER TABLE seats ENABLE ROW LEVEL SECURITY;
ALTER TABLE seats FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON seats USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE ON seats TO civicpulse_app;

-- What the other engine said, surely: {engine, category, confidence}. NULL where the two agreed or one alone was asked.
ALTER TABLE analyses ADD COLUMN disagreement jsonb;
CREATE INDEX analyses_disagreements ON analyses (tenant_id, created_at) WHERE disagreement IS NOT NULL;

-- How many of each kind of personal data were masked in what was sent, such as {"PHONE": 1}.
ALTER TABLE llm_calls ADD COLUMN masked jsonb NOT NULL DEFAULT '{}';
