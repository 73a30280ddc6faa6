"""Sequences of numbered pictures, read and written as a video."""
