"""Tickets, managers and business units: requests, agents and offices in a contact centre's words, for reading (R-CSV-08)."""
