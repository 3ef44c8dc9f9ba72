-- Files that staff has taken out of what the public sees.
ALTER TABLE evidence ADD COLUMN hidden_at timestamptz;
