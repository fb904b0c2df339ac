"""Results → journal → one answer for each scene and question, and the layers of tile answers and detections."""
