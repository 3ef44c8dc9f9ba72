-- Whether a photo is kept without what its camera wrote beside the picture. Those that are not are cleaned when the public fetches them.
ALTER TABLE evidence ADD COLUMN cleaned boolean NOT NULL DEFAULT false;
