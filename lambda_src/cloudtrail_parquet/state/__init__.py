"""What lies in the state: receipts, intents and identities."""
