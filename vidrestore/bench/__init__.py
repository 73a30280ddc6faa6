"""Speed and memory, measured: see `vidrestore bench`."""
