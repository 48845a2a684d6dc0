"""Writes the software bill of materials (CycloneDX) of an image. Each image build runs it; no image contains it."""
