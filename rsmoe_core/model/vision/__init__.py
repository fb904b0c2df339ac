"""pixels_BCHW → patches_BPD: image encoders and their registry."""
