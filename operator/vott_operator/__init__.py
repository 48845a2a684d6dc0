"""The VoTT Train operator."""
