# -*- coding: iso-8859-1 -*-
def a():
    return "é"

def b():
    pass
