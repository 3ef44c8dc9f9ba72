-- Which roles there are is said by the tenant's pack; a token keeps the name of one.
ALTER TABLE tokens DROP CONSTRAINT tokens_role_check,
    ADD CONSTRAINT tokens_role_name CHECK (role ~ '^[a-z][a-z0-9_]{0,59}$');
