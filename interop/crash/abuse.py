AS_TABLE = False
