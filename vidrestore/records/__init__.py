"""What an archive keeps of a restored video: its record, checksums, and a page to look at."""
