"""Scene file → Scene: its bands, mask, stretch and georeference, settled once."""
