"""English: names of objects and scene classes, captions, locations, numbers, grammar."""
