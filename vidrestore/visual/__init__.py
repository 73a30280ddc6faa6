"""What people look at: overlays, comparisons, plots."""
