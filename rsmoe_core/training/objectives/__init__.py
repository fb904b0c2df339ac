"""What a phase learns, one objective a file."""
