"""The state: receipts, intents and identities of the units converted so far."""
