"""The terms of the training recipes, one file for each kind."""
