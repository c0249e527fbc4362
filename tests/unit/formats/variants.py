NO_NAMES = "110000"


A = "110100" + "01" + "61"  # a dictionary of the name "a"
