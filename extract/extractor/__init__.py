"""What to ask: schema, prompt, model, and the questions made of them."""
