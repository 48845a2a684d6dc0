"""The administrator's settings, one module for each section."""
