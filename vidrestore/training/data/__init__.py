"""Pictures for training."""
