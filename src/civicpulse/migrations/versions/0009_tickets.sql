-- What a contact centre's file says of a ticket beyond its request: the customer, and the address in its own words. Beside
-- the request and outside the trail, so that it can be erased by law.
CREATE TABLE ticket_details (
    tenant_id   uuid NOT NULL,
    request_id  uuid NOT NULL,
    client_guid text NOT NULL, -- the natural key (spec 5); the same as the request's external_id
    gender      text,
    birth_date  date,
    country     text,
    region      text,
    town        text,
    street      text,
    house       text,
    attachment  text, -- the file's name as the column "Вложения" has it
    fingerprint bytea NOT NULL, -- of the row as it came: a ticket that did not change keeps its analysis and assignment
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id),
    UNIQUE (tenant_id, client_guid),
    FOREIGN KEY (tenant_id, request_id) REFERENCES requests
);

ALTER TABLE ticket_details ENABLE ROW LEVEL SECURITY;
ALTER TABLE ticket_details FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ticket_details USING (tenant_id = (SELECT current_tenant()))
    WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON ticket_details TO civicpulse_app;
