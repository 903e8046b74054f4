labctl discover -n a/b core1.snmprec
