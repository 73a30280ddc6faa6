"""The terms of the training configurations, one file for each kind."""
