"""Encoding through the system's FFmpeg, with what the encoders of PyAV's wheel lack."""
