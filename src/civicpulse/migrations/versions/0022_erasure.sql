-- What a person may have taken out by law beyond their profile and comments.
ALTER TABLE evidence ADD COLUMN erased_at timestamptz;
GRANT UPDATE (summary, recommendation) ON analyses TO civicpulse_app;
GRANT DELETE ON reports TO civicpulse_app;
