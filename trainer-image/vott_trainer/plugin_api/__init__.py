"""What a plugin author imports: the Plugin and Learner protocols, evaluation and metrics."""
