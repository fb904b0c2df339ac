"""What phases learn: one objective in each file."""
