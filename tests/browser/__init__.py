"""The real JupyterLab in a real browser."""
