-- Who asked for a one-time code, sealed; empty for staff and for those of the release before, which are anybody's.
ALTER TABLE otp_challenges ADD COLUMN asker text NOT NULL DEFAULT '';
