"""What a million and ten million requests cost: each view's query, the writer, and FMD's own code beside."""
