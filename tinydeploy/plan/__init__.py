"""Graph -> Plan: which kernel runs where, in what memory."""
