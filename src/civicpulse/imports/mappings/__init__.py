"""Import mappings that ship with the product, one YAML file a city."""
