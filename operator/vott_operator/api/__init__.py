"""The TrainingJob as an API: its schema, constants, conditions and derived names."""
