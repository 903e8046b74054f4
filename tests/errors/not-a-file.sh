mkfifo walk.snmprec
labctl discover walk.snmprec
