"""Says what an image is made of, as a CycloneDX document: run by each image's build, never part of an image."""
