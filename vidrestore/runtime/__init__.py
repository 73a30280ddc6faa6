"""What a run needs from the operating system, whatever it computes: files, locks."""
