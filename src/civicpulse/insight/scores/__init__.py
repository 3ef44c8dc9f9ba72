"""SLA metrics, performance scores and rankings."""
