"""From a network to a `FaceRestorer`."""
