"""Networks, with the keys of the public checkpoints."""
