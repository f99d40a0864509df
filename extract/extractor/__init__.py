"""The extractor: schema, prompt and model as one value, compiled for a service, and the questions for records."""
