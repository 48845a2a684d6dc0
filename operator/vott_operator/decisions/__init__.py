"""Pure decisions: from observed state to phase, conditions, Events and the next action."""
