"""Measure the program by documented protocols."""
