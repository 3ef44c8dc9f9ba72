-- A request whose analysis was too unsure waits for a person's decision.
ALTER TABLE requests ADD COLUMN needs_person boolean NOT NULL DEFAULT false;
CREATE INDEX requests_needs_person ON requests (tenant_id, created_at, id) WHERE needs_person;
