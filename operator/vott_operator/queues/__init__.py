"""Where messages come from. Only the modules of this package import azure."""
