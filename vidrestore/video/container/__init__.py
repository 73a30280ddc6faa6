"""Boxes of MP4 and elements of Matroska, where FFmpeg or PyAV reads or writes too little."""
