"""Results → journal → layer of captions."""
