"""What authors and CI use: lessons are executed, normalised, measured at many seeds and tried in a browser."""
