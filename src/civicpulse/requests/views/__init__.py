"""The shapes in which requests leave: typed models, and beside each the one function that makes it from a row.

API, pages, exports and the document dump read the same ones. The functions make plain dicts, which orjson writes: the models
declare the answers and are held against them in the tests, never at run time.
"""
