"""From files to frames and back."""
