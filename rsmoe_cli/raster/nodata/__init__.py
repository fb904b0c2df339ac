"""Which pixels of a scene are data: what its files declare, and the fill that they do not declare."""
