"""Tickets, managers and business units: requests, agents and offices in the words of spec 5, for reading."""
