"""Tables as people keep them: text with separators, and workbooks of two generations."""
