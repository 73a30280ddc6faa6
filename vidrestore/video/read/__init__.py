"""From a file to frames."""
