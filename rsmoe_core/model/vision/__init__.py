"""pixels_BCHW → patches_BPD: image encoders."""
