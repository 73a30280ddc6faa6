"""A small clip that the program makes itself."""
