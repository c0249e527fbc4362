"""Parts that stay: what is added to them; which of them repeat others."""
