"""Pictures and labels on disk."""
