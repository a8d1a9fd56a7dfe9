"""Any policy on any text, from file to file."""
