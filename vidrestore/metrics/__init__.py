"""Figures of pictures, videos and detections."""
