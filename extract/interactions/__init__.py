"""The Gemini Interactions API: both wire forms, errors told apart, clients sync and async."""
