"""The Kac model."""
