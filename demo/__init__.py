"""The whole way of a message, shown: images, annotations, queue, training on a real cluster, a model to look at."""
