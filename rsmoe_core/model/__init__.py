"""The parts of an RS-MoE, one file each, in the order in which a picture passes through them."""
