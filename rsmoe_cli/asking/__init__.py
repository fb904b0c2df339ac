"""Results → one answer for the scene, with evidence, and the layers that show it."""
