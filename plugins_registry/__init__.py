"""Floor 3: which plugins a customer may run, and what each of them may use."""
