"""Train the networks that the program runs."""
