"""English: names, scene classes, locations, grammar."""
