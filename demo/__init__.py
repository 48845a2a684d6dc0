"""The demo: send a message with images and annotations, follow its training on a cluster, and show the model."""
