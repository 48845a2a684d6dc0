"""Which addresses a message's URLs may lead to, and how they are asked: shared by the operator and the trainer."""
