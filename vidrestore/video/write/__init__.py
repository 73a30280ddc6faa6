"""From frames to a file."""
